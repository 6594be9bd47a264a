//! Every vendor that is known, over a real socket.

use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Content, EmbedRequest, Error, Message, Part, Role};
use iron_simulator::Reply;
use serde_json::{Value, json};
use toml::Table;

use crate::rig::{param, simulator, soon};

const IMAGE: &str = "https://example.com/a.png";

/// The vendors as the file has them, read apart from the code that uses them.
fn vendors() -> Vec<Table> {
    let file: Table = include_str!("../src/provider/vendors.toml").parse().unwrap();
    file["vendor"].as_array().unwrap().iter().map(|vendor| vendor.as_table().unwrap().clone()).collect()
}

fn text<'a>(vendor: &'a Table, key: &str) -> Option<&'a str> {
    vendor.get(key).and_then(toml::Value::as_str)
}

/// A client of one provider that is reached at `url`.
fn client(name: &str, url: &str, changes: &Value) -> Client {
    let mut settings = json!({"base_url": url, "api_key": "sk-long-enough-to-be-shown-walk"});
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let settings = json!({"providers": {name: settings}, "budget": {"unpriced": "allow"}});
    let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
    Client::new(Config::load(&sources).unwrap(), &Ledger::new()).unwrap()
}

fn request(name: &str) -> ChatRequest {
    let rules = Message { role: Role::Developer, ..Message::user("Be brief.") };
    let mut request = ChatRequest::new(format!("{name}/some/model"), vec![rules, Message::user("Hello")]);
    request.max_tokens = Some(77);
    request
}

#[tokio::test]
async fn every_vendor_reaches_its_api_as_it_wants_to_be_asked() {
    let simulator = simulator(Vec::new()).await;
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    for vendor in vendors() {
        let name = text(&vendor, "name").unwrap();
        let anthropic = text(&vendor, "format") == Some("anthropic");
        let url = if anthropic { root.clone() } else { simulator.url() };
        let client = client(name, &url, &json!({}));
        let reply = soon(client.chat(request(name), CallContext::new())).await;
        let reply = reply.unwrap_or_else(|error| panic!("{name}: {error}"));
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "echo: Hello", "{name}");
        let sent = simulator.requests().pop().unwrap();
        assert_eq!(sent.path, if anthropic { "/v1/messages" } else { "/v1/chat/completions" }, "{name}");
        let header = text(&vendor, "key_header").unwrap_or("authorization");
        assert!(sent.headers[header].ends_with("walk"), "{name}: {:?}", sent.headers);
        assert_eq!(sent.body["model"], "some/model", "{name}");
        let bound = text(&vendor, "max_tokens_field").unwrap_or("max_tokens");
        assert_eq!(sent.body[bound], 77, "{name}");
        let developer = vendor.get("developer_role").and_then(toml::Value::as_bool) == Some(true);
        if anthropic {
            assert_eq!(sent.body["system"][0]["text"], "Be brief.");
            assert_eq!(sent.headers["anthropic-version"], "2023-06-01");
        } else {
            let role = if developer { "developer" } else { "system" };
            assert_eq!(sent.body["messages"][0]["role"], role, "{name}");
        }
    }
    assert_eq!(simulator.requests().len(), vendors().len());
}

/// An answer that fits the schema.
const SEEN: &str = r#"{"name": "seen"}"#;

/// With an image, a tool and a schema for the answer.
fn rich(name: &str) -> ChatRequest {
    let image = Part::Image { url: IMAGE.into(), detail: None, extra: Vec::new() };
    let text = Part::Text { text: "What is it?".into(), extra: Vec::new() };
    let asked = Message { content: Content::Parts(vec![text, image]), ..Message::user("") };
    let mut request = ChatRequest::new(format!("{name}/some/model"), vec![asked]);
    request.max_tokens = Some(77);
    let schema = json!({
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
        "additionalProperties": false,
    });
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": schema}});
    param(&mut request, "tools", &json!([tool]));
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "it", "strict": true, "schema": schema}});
    param(&mut request, "response_format", &format);
    request
}

#[tokio::test]
async fn one_request_reaches_every_vendor_with_tools_images_schema_and_stream() {
    let simulator = simulator(vec![Reply::text(SEEN).into()]).await;
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    for vendor in vendors() {
        let name = text(&vendor, "name").unwrap();
        let anthropic = text(&vendor, "format") == Some("anthropic");
        let url = if anthropic { root.clone() } else { simulator.url() };
        let client = client(name, &url, &json!({"unsupported_params": "drop"}));
        let plain = soon(client.chat(rich(name), CallContext::new())).await.unwrap();
        let mut stream = soon(client.stream(rich(name), CallContext::new())).await.unwrap();
        let streamed = soon(stream.reply()).await.unwrap();
        let requests = simulator.requests();
        for (reply, sent) in [plain, streamed].iter().zip(&requests[requests.len() - 2..]) {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["choices"][0]["message"]["content"], SEEN, "{name}");
            let (sent, part) = (&sent.body, &sent.body["messages"][0]["content"][1]);
            let (tool, image, format) = if anthropic {
                (&sent["tools"][0]["name"], &part["source"]["url"], &sent["output_config"]["format"])
            } else {
                let tool = &sent["tools"][0]["function"]["name"];
                (tool, &part["image_url"]["url"], &sent["response_format"])
            };
            assert_eq!((image, &format["type"]), (&json!(IMAGE), &json!("json_schema")), "{name}");
            let lacks_tools =
                reply.report.warnings.iter().any(|warning| warning.starts_with("tools was left out"));
            assert_eq!(tool, &if lacks_tools { Value::Null } else { json!("look") }, "{name}");
            assert_eq!(lacks_tools, name == "perplexity", "{name}");
        }
        assert_eq!(requests.last().unwrap().body["stream"], true, "{name}");
    }
}

#[tokio::test]
async fn every_parameter_that_a_vendor_lacks_is_refused_or_left_out_and_said() {
    let simulator = simulator(Vec::new()).await;
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    let mut lacking = 0;
    for vendor in vendors() {
        let name = text(&vendor, "name").unwrap();
        let url = if name == "anthropic" { root.clone() } else { simulator.url() };
        let (strict, drops) =
            (client(name, &url, &json!({})), client(name, &url, &json!({"unsupported_params": "drop"})));
        let lacks = vendor.get("lacks").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        for lack in lacks.iter().map(|lack| lack.as_str().unwrap()).filter(|lack| *lack != "n") {
            lacking += 1;
            let mut asked = request(name);
            param(&mut asked, lack, &json!("x"));
            let refused = soon(strict.chat(asked.clone(), CallContext::new())).await.unwrap_err();
            assert!(matches!(&refused, Error::Config { .. }), "{name}: {refused:?}");
            let expected = format!("provider {name:?} does not take {lack}");
            assert!(refused.to_string().contains(&expected), "{refused}");
            let reply = soon(drops.chat(asked, CallContext::new())).await.unwrap();
            let said = format!("{lack} was left out: provider {name:?} does not take it");
            assert!(reply.report.warnings.contains(&said), "{name}: {:?}", reply.report.warnings);
            assert_eq!(simulator.requests().pop().unwrap().body.get(lack), None, "{name}");
        }
        if lacks.iter().any(|lack| lack.as_str() == Some("n")) {
            let several = ChatRequest { n: Some(2), ..request(name) };
            let refused = soon(drops.chat(several, CallContext::new())).await.unwrap_err();
            assert!(refused.to_string().contains("one choice a call"), "{name}: {refused}");
        }
    }
    assert!(lacking > 50, "{lacking}");
}

#[tokio::test]
async fn what_a_vendor_calls_otherwise_goes_out_by_its_own_name() {
    let simulator = simulator(Vec::new()).await;
    let mut renamed = 0;
    for vendor in vendors() {
        let name = text(&vendor, "name").unwrap();
        let client = client(name, &simulator.url(), &json!({}));
        for (ours, own) in vendor.get("renames").and_then(toml::Value::as_table).into_iter().flatten() {
            renamed += 1;
            let own = own.as_str().unwrap();
            let mut asked = request(name);
            param(&mut asked, ours, &json!(7));
            soon(client.chat(asked.clone(), CallContext::new())).await.unwrap();
            let sent = simulator.requests().pop().unwrap().body;
            assert_eq!((sent.get(ours), &sent[own]), (None, &json!(7)), "{name}");
            // What is given by the vendor's own name stands.
            param(&mut asked, own, &json!(8));
            soon(client.chat(asked, CallContext::new())).await.unwrap();
            let sent = simulator.requests().pop().unwrap().body;
            assert_eq!((sent.get(ours), &sent[own]), (None, &json!(8)), "{name}");
        }
    }
    assert!(renamed >= 4, "{renamed}");
}

#[tokio::test]
async fn embeddings_reach_every_provider_that_has_them_and_no_other() {
    let simulator = simulator(Vec::new()).await;
    for vendor in vendors() {
        let name = text(&vendor, "name").unwrap();
        let client = client(name, &simulator.url(), &json!({}));
        let texts = EmbedRequest {
            model: format!("{name}/embedder"),
            input: vec!["a".into(), "b".into()],
            params: Vec::new(),
        };
        let before = simulator.requests().len();
        let outcome = soon(client.embed(texts, CallContext::new())).await;
        if vendor.get("embeddings").and_then(toml::Value::as_bool) == Some(true) {
            let body: Value = serde_json::from_slice(&outcome.unwrap().body).unwrap();
            assert_eq!(body["data"].as_array().unwrap().len(), 2, "{name}");
            assert_eq!(simulator.requests().pop().unwrap().path, "/v1/embeddings", "{name}");
        } else {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(&format!("provider {name:?} has no embeddings")), "{error}");
            assert_eq!(error.contains("signed bytes in base64"), name == "perplexity", "{error}");
            assert_eq!(simulator.requests().len(), before, "{name}");
        }
    }
}
