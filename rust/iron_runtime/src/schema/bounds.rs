//! Bounds: what a schema may be, so that no call is held up by one.

use serde_json::{Map, Value};

/// The longest schema in use is a tenth of it.
const MOST_BYTES: usize = 256 << 10;
const DEEPEST: usize = 64;
const MOST_VALUES: usize = 10_000;
/// What it may come to with each reference written out: doubling ten lines forty times is a trillion of them.
const MOST_UNFOLDED: usize = 50_000;
const DEEPEST_UNFOLDED: usize = 256;
/// So many ways into a value are looked along to tell what is wrong with it.
const MOST_WAYS: usize = 10_000;

/// A schema that keeps to the bounds.
pub(super) struct Bounded {
    pub(super) schema: Value,
    /// How many of its references lead back to what holds them.
    circles: usize,
}

impl Bounded {
    /// Read a schema.
    ///
    /// # Errors
    /// Which bound it breaks.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("is a schema of {} bytes: {MOST_BYTES} are the most", text.len()));
        }
        let schema = serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))?;
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err("is no JSON Schema: give a table, or true or false".to_owned());
        }
        let mut left = MOST_VALUES;
        measure(&schema, DEEPEST, &mut left)?;
        let mut unfolding = Unfolding { root: &schema, within: Vec::new(), left: MOST_UNFOLDED, circles: 0 };
        unfolding.enter(&schema, DEEPEST_UNFOLDED)?;
        let circles = unfolding.circles;
        Ok(Self { schema, circles })
    }

    /// How deep a value may be for telling what is wrong with it: each level is gone into by every circle.
    pub(super) fn told_depth(&self) -> usize {
        match self.circles {
            0 | 1 => usize::MAX,
            circles => usize::try_from(MOST_WAYS.ilog(circles)).unwrap_or(0),
        }
    }
}

fn measure(value: &Value, deeper: usize, left: &mut usize) -> Result<(), String> {
    let within =
        left.checked_sub(1).ok_or_else(|| format!("is a schema of more than {MOST_VALUES} values"))?;
    *left = within;
    let children: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return Ok(()),
    };
    let deeper =
        deeper.checked_sub(1).ok_or_else(|| format!("is a schema nested deeper than {DEEPEST} levels"))?;
    children.into_iter().try_for_each(|child| measure(child, deeper, left))
}

/// A walk through a schema that goes along its references.
struct Unfolding<'s> {
    root: &'s Value,
    /// The references that led here.
    within: Vec<&'s str>,
    left: usize,
    circles: usize,
}

impl<'s> Unfolding<'s> {
    fn enter(&mut self, schema: &'s Value, deeper: usize) -> Result<(), String> {
        let too_much = || "is a schema whose references multiply beyond measure".to_owned();
        self.left = self.left.checked_sub(1).ok_or_else(too_much)?;
        let deeper = deeper.checked_sub(1).ok_or_else(too_much)?;
        match schema {
            Value::Array(values) => values.iter().try_for_each(|value| self.enter(value, deeper)),
            Value::Object(fields) => self.keywords(fields, deeper),
            _ => Ok(()),
        }
    }

    fn keywords(&mut self, fields: &'s Map<String, Value>, deeper: usize) -> Result<(), String> {
        for (keyword, value) in fields {
            match (keyword.as_str(), value) {
                // What is only referred to, and what is data.
                ("$defs" | "definitions" | "const" | "enum" | "default" | "examples", _) => {}
                ("$ref", Value::String(to)) => self.follow(to, deeper)?,
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                    return Err(format!("uses {keyword}: refer by $ref to a place in the schema"));
                }
                // Places would be counted from here, and not from the beginning.
                ("$id" | "id", Value::String(_)) if deeper < DEEPEST_UNFOLDED - 1 => {
                    return Err(format!("has {keyword} within it: only the whole schema may have one"));
                }
                (_, value) => self.enter(value, deeper)?,
            }
        }
        Ok(())
    }

    fn follow(&mut self, to: &'s str, deeper: usize) -> Result<(), String> {
        let place = to.strip_prefix('#').filter(|place| place.is_empty() || place.starts_with('/'));
        let nothing =
            || format!("refers to {to:?}: only places in the schema itself can be, as in #/$defs/NAME");
        let target = place.and_then(|place| self.root.pointer(place)).ok_or_else(nothing)?;
        if self.within.contains(&to) {
            self.circles += 1;
            return Ok(());
        }
        self.within.push(to);
        self.enter(target, deeper)?;
        self.within.pop();
        Ok(())
    }
}
