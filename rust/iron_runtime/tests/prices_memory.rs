//! What the built-in prices take of memory, which is also what they take of work: a file is text until it is asked.

use iron_runtime::config::{Config, Sources};
use iron_runtime::pricing::Catalog;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const KIB: usize = 1 << 10;
/// One table of a file is parsed: measured 16 KiB.
const MOST_OF_A_MODEL: usize = 32 * KIB;
/// Looking for a name that no file has parses nothing: measured 24 bytes.
const MOST_OF_NONE: usize = KIB;
/// Measured 770 KiB; twice that is too much.
const MOST_OF_ALL: usize = 1_200 * KIB;
/// A configuration asks for no price: measured 54 KiB.
const MOST_OF_A_CONFIGURATION: usize = 96 * KIB;

/// The most that was allocated at one time beside what was, and what stayed allocated.
fn measured<T>(work: impl FnOnce() -> T) -> (usize, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    let (peak, after) = (MEMORY.peak_usage(), MEMORY.current_usage());
    drop(result);
    (peak - before, after.saturating_sub(before))
}

#[test]
fn a_price_costs_one_table_and_all_of_them_less_than_two_megabytes() {
    let (first, _) = measured(|| Catalog::default().find("openai/gpt-5-mini").unwrap().unwrap());
    assert!(first < MOST_OF_A_MODEL, "the first model: {first} bytes");
    let (second, _) = measured(|| Catalog::default().find("bedrock/zai.glm-5").unwrap().unwrap());
    assert!(second < MOST_OF_A_MODEL, "another provider's: {second} bytes");
    let (none, _) = measured(|| assert_eq!(Catalog::default().find("openai/not-a-model").unwrap(), None));
    assert!(none < MOST_OF_NONE, "no model: {none} bytes");
    let (all, kept) = measured(|| Catalog::default().models().unwrap());
    assert!(all < MOST_OF_ALL && kept <= all, "every model: {all} bytes, of which {kept} are kept");

    let overrides =
        r#"{"default_model": "openai/gpt-5-mini", "providers": {"openai": {"api_key": "sk-none"}}}"#;
    let sources = || Sources { overrides: Some(overrides.to_owned()), ..Sources::default() };
    // The schema of the settings and the vendors' table are made once in a process.
    drop(Config::load(&sources()).unwrap());
    let (config, _) = measured(|| Config::load(&sources()).unwrap());
    assert!(config < MOST_OF_A_CONFIGURATION, "a configuration: {config} bytes");
}
