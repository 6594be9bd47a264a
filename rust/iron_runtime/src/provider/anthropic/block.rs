//! Blocks of a message: texts, images, documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;
use crate::call::{Part, Text};
use crate::json::Json;
use crate::provider::fields::Fields;
use crate::provider::lacks::Lacks;
use crate::provider::writer::Writer;

/// What a `data:` URL holds.
struct Data<'a> {
    media_type: &'a str,
    base64: &'a str,
}

impl<'a> Data<'a> {
    fn read(url: &'a str) -> Option<Self> {
        let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
        let head = head.strip_suffix(";base64")?;
        Some(Self { media_type: head.split(';').next().unwrap_or_default(), base64 })
    }
}

/// A text as the next block; Anthropic refuses one that is white space alone, which says nothing.
pub(super) fn write_text(body: &mut Writer, text: &str, extra: &[(Text, Json)]) {
    if is_blank(text) {
        return;
    }
    body.comma();
    body.object(|body| {
        body.string("type", "text");
        body.string("text", text);
        body.fields(extra);
    });
}

pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Blocks that are Anthropic's already, as they are.
pub(super) fn write_own(
    body: &mut Writer,
    blocks: &Json,
    place: impl FnOnce() -> String,
) -> Result<(), Error> {
    let list: Option<Vec<&serde_json::value::RawValue>> = serde_json::from_str(blocks.as_str()).ok();
    let list = list.ok_or_else(|| Error::config(format!("{}: not a list of blocks", place())))?;
    for block in list {
        body.comma();
        body.json(block.get());
    }
    Ok(())
}

/// The parts of message `nth` as the next blocks, without white space at their end if they are to be gone on with.
pub(super) fn write_parts(
    body: &mut Writer,
    parts: &[Part],
    nth: usize,
    goes_on: bool,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    for (place, part) in parts.iter().enumerate() {
        let wrong = |why: &str| Error::config(format!("messages[{nth}].content[{place}]: {why}"));
        match part {
            Part::Text { text, extra } if goes_on && place + 1 == parts.len() => {
                write_text(body, text.trim_end(), extra);
            }
            Part::Text { text, extra } => write_text(body, text, extra),
            Part::Image { url, detail, extra } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    lacks.found(&format!("messages[{nth}].content[{place}].image_url.detail"))?;
                }
                let source = source(url)
                    .ok_or_else(|| wrong("the image is neither an https: nor a base64 data: URL"))?;
                write_block(body, "image", &source, |body| body.fields(extra));
            }
            Part::Other(json) => other(body, json, wrong)?,
        }
    }
    Ok(())
}

fn other(body: &mut Writer, json: &Json, wrong: impl Fn(&str) -> Error) -> Result<(), Error> {
    let part = Fields::read(json.as_str()).ok_or_else(|| wrong("not an object"))?;
    match part.text("type").as_deref() {
        Some("file") => file(body, &part, wrong),
        Some("refusal") => {
            write_text(body, &part.text("refusal").unwrap_or_default(), &[]);
            Ok(())
        }
        Some("input_audio") => Err(wrong("it holds audio, which this provider does not take")),
        // A block of Anthropic's own, or one that is newer than this program.
        _ => {
            body.comma();
            body.json(json.as_str());
            Ok(())
        }
    }
}

/// A file as OpenAI shapes it: by id, by URL, or as a `data:` URL.
fn file(body: &mut Writer, part: &Fields<'_>, wrong: impl Fn(&str) -> Error) -> Result<(), Error> {
    let file = part.object("file").ok_or_else(|| wrong("file is missing"))?;
    let of = |name: &str| file.text(name);
    let mut kind = "document";
    let source = if let Some(id) = of("file_id") {
        object(&[("type", "file"), ("file_id", &id)])
    } else if let Some(url) = of("file_url") {
        object(&[("type", "url"), ("url", &url)])
    } else {
        let data =
            of("file_data").ok_or_else(|| wrong("file has neither file_data, file_id nor file_url"))?;
        let data = Data::read(&data).ok_or_else(|| {
            wrong("file.file_data is no data: URL; write it like \"data:application/pdf;base64,...\"")
        })?;
        if data.media_type.starts_with("image/") {
            kind = "image";
        }
        match data.media_type {
            "text/plain" => {
                let bytes = STANDARD.decode(data.base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let text = bytes.ok_or_else(|| wrong("file.file_data is not UTF-8 text in base64"))?;
                object(&[("type", "text"), ("media_type", "text/plain"), ("data", &text)])
            }
            "application/pdf" => encoded(&data),
            _ if kind == "image" => encoded(&data),
            _ => {
                return Err(wrong("a file is a PDF, plain text or an image; send other text as a text part"));
            }
        }
    };
    let title = of("filename").filter(|_| kind == "document");
    write_block(body, kind, &source, |body| {
        if let Some(title) = title {
            body.string("title", &title);
        }
        for (name, value) in part.except(&["type", "file"]) {
            body.raw(name, value);
        }
    });
    Ok(())
}

fn source(url: &str) -> Option<String> {
    if url.starts_with("data:") {
        return Data::read(url).map(|data| encoded(&data));
    }
    let remote = url.starts_with("https:") || url.starts_with("http:");
    remote.then(|| object(&[("type", "url"), ("url", url)]))
}

fn encoded(data: &Data<'_>) -> String {
    object(&[("type", "base64"), ("media_type", data.media_type), ("data", data.base64)])
}

fn object(fields: &[(&str, &str)]) -> String {
    let mut written =
        Writer::new(32 + fields.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>());
    for (name, value) in fields {
        written.string(name, value);
    }
    String::from_utf8_lossy(&written.finish()).into_owned()
}

fn write_block(body: &mut Writer, kind: &str, source: &str, rest: impl FnOnce(&mut Writer)) {
    body.comma();
    body.object(|body| {
        body.string("type", kind);
        body.raw("source", source);
        rest(body);
    });
}
