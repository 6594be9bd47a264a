use bytes::Bytes;
use iron_runtime::{Content, Part};

use super::{Chat, chat, embed};

fn read(body: &str) -> Result<Chat, String> {
    chat(&Bytes::copy_from_slice(body.as_bytes())).map_err(|wrong| wrong.to_string())
}

#[test]
fn every_field_has_its_place() {
    let body = r#"{"temperature": 0.10, "model": "fast", "max_completion_tokens": 7, "n": 2, "stream": true,
        "stop": null, "messages": [
            {"role": "system", "content": "Be \"brief\""},
            {"role": "user", "content": [{"type": "text", "text": "what?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/b.png", "format": "png"}},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "name": "ada"},
            {"role": "assistant", "tool_calls": [{"id": "c1"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"}]}"#;
    let Chat { request, stream } = read(body).unwrap();
    assert!(stream);
    assert_eq!((request.model.as_str(), request.max_tokens, request.n), ("fast", Some(7), Some(2)));
    let params: Vec<_> = request.params.iter().map(|(name, value)| (&**name, value.as_str())).collect();
    // As they were written, to the digit.
    assert_eq!(params, [("temperature", "0.10"), ("stop", "null")]);
    let [system, user, assistant, tool] = &request.messages[..] else { panic!("four messages") };
    assert!(matches!(&system.content, Content::Text(text) if text == "Be \"brief\""));
    let Content::Parts(parts) = &user.content else { panic!("parts") };
    assert!(matches!(&parts[0], Part::Text { text, extra } if text == "what?" && extra.len() == 1));
    assert!(
        matches!(&parts[1], Part::Image { url, detail: Some(detail), .. } if url.ends_with("a.png") && detail == "low")
    );
    assert!(matches!(&parts[2], Part::Other(json) if json.as_str().contains("\"format\": \"png\"")));
    assert!(matches!(&parts[3], Part::Other(_)));
    assert!(matches!(assistant.content, Content::None));
    assert_eq!((tool.extra.len(), assistant.extra.len(), user.extra.len()), (1, 1, 1));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_what_was_given() {
    let user = r#"{"role": "user", "content": "secret"}"#;
    for (body, expected) in [
        ("[]".to_owned(), "the body is not a JSON object"),
        ("{\"model\": \"m\"".to_owned(), "the body is not valid JSON: EOF"),
        (format!(r#"{{"messages": [{user}]}}"#), "model is missing"),
        (format!(r#"{{"model": "", "messages": [{user}]}}"#), "model is missing"),
        (format!(r#"{{"model": ["secret"], "messages": [{user}]}}"#), "model is not a string"),
        (r#"{"model": "m"}"#.to_owned(), "messages is missing or empty"),
        (r#"{"model": "m", "messages": {"role": "user"}}"#.to_owned(), "messages is not a list"),
        (r#"{"model": "m", "messages": ["secret"]}"#.to_owned(), "messages[0] is not an object"),
        (
            format!(r#"{{"model": "m", "messages": [{user}, {{"role": "secret", "content": ""}}]}}"#),
            "messages[1].role is none of developer, system, user",
        ),
        (r#"{"model": "m", "messages": [{"content": ""}]}"#.to_owned(), "messages[0].role is missing"),
        (r#"{"model": "m", "messages": [{"role": "user"}]}"#.to_owned(), "messages[0].content is missing"),
        (
            r#"{"model": "m", "messages": [{"role": "user", "content": null}]}"#.to_owned(),
            "messages[0].content is neither text nor a list of parts",
        ),
        (
            r#"{"model": "m", "messages": [{"role": "tool", "content": ""}]}"#.to_owned(),
            "messages[0].tool_call_id is missing",
        ),
        (
            r#"{"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}"#.to_owned(),
            "messages[0].content[0].image_url.url is missing",
        ),
        (format!(r#"{{"model": "m", "messages": [{user}], "n": 0}}"#), "n is not a whole number"),
        (format!(r#"{{"model": "m", "messages": [{user}], "stream": "yes"}}"#), "stream is neither true nor"),
        (
            format!(r#"{{"model": "m", "messages": [{user}], "max_tokens": 1, "max_completion_tokens": 2}}"#),
            "max_completion_tokens differs",
        ),
        (
            r#"{"model": "m", "messages": [{"role": "user", "content": "a", "content": "b"}]}"#.to_owned(),
            "the body is not valid JSON: a field is given twice",
        ),
    ] {
        let Err(wrong) = read(&body) else { panic!("{body} was read") };
        assert!(wrong.starts_with(expected) && !wrong.contains("secret"), "{body}: {wrong}");
    }
}

#[test]
fn texts_to_embed_are_one_or_many() {
    let read = |body: &'static str| embed(&Bytes::from_static(body.as_bytes()));
    let request = read(r#"{"model": "m", "input": "a", "dimensions": 3}"#).unwrap();
    assert_eq!((request.input, request.params.len()), (vec!["a".into()], 1));
    assert_eq!(read(r#"{"model": "m", "input": ["a", "b"]}"#).unwrap().input.len(), 2);
    for (body, expected) in [
        (r#"{"model": "m"}"#, "input is missing"),
        (r#"{"model": "m", "input": []}"#, "input is empty"),
        (r#"{"model": "m", "input": ["a", ""]}"#, "input[1] is empty"),
        (r#"{"model": "m", "input": [[1, 2]]}"#, "input[0] is not text: lists of tokens are not taken"),
    ] {
        let Err(wrong) = read(body) else { panic!("{body} was read") };
        assert_eq!(wrong.to_string(), expected);
    }
}
