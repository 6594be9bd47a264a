//! The parser.

use clap::CommandFactory;
use clap::error::ErrorKind;

use iron_protocol::NanoUsd;

use super::*;

fn parse(line: &str) -> Result<Command, ErrorKind> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command).map_err(|error| error.kind())
}

#[test]
fn the_parser_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn chat_takes_a_prompt_or_none() {
    let Ok(Command::Chat(options)) = parse("chat Hello -m fast -s Short --max-tokens 5 --budget 0.000000001")
    else {
        panic!("not parsed");
    };
    assert_eq!(options.prompt.as_deref(), Some("Hello"));
    assert_eq!(options.model.as_deref(), Some("fast"));
    assert_eq!(options.system.as_deref(), Some("Short"));
    assert_eq!(options.max_tokens, Some(5));
    assert_eq!(options.budget.map(NanoUsd::nanos), Some(1));
    assert!(matches!(parse("chat"), Ok(Command::Chat(chat::Options { prompt: None, .. }))));
    assert!(matches!(parse("chat -"), Ok(Command::Chat(options)) if options.prompt.as_deref() == Some("-")));
}

#[test]
fn help_names_the_default_model() {
    let mut cli = Cli::command();
    let chat = cli.find_subcommand_mut("chat").unwrap();
    assert!(chat.render_long_help().to_string().contains(chat::DEFAULT_MODEL));
}

#[test]
fn the_demo_has_defaults() {
    let Outcome::Demo(options) = run(["demo".into()]) else { panic!("not the demo") };
    assert_eq!(options, DemoOptions { agents: 400, budget: None, seed: 7, no_progress: false });
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for line in [
        "chat Hello --max-tokens 0",
        "chat Hello --budget -1",
        "chat Hello --budget=-1",
        "chat Hello --budget 1e-3",
        "chat Hello --budget 0.0000000001",
        "chat Hello there",
        "chat Hello --simulate --config iron.toml",
        "check a.toml b.toml",
        "schema extra",
        "init a b",
        "demo --agents 0",
        "demo --agents 5001",
        "simulate --port 65536",
        "simulate --latency-ms soon",
        "simulate extra",
        "serve",
    ] {
        let kind = parse(line).expect_err(line);
        assert!(!matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion), "{line}: {kind}");
    }
}

#[test]
fn usage_errors_exit_with_two_and_help_with_zero() {
    let code = |line: &str| match run(line.split(' ').map(OsString::from)) {
        Outcome::Exit(code) => code,
        Outcome::Demo(_) => panic!("{line} is the demo"),
    };
    assert_eq!(code("chat Hello --max-tokens 0"), 2);
    assert_eq!(code("--version"), 0);
    assert_eq!(code("chat --help"), 0);
    assert_eq!(run([]), Outcome::Exit(2));
}

#[test]
fn the_native_binary_has_no_demo() {
    assert_eq!(run_without_python(["demo".into()]), 1);
}
