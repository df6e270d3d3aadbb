//! Complaints about a configuration, in words that a person who writes one knows.

use toml_edit::Value;

use super::schema::Shape;

/// Returns what the daemon wants, in words.
pub(super) fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Flag => "`true` or `false`",
        Shape::Text => "a text in quotation marks",
        Shape::Integer => "a whole number without quotation marks",
        Shape::Size => "a size such as `\"2GB\"` or `\"10%\"`",
        Shape::Duration => "a duration such as `\"48h\"`",
        Shape::List(Shape::Text) => "a list such as `[\"a\", \"b\"]`",
        Shape::List(_) => "a list of sections",
        Shape::Map(_) | Shape::Section(_) => "a section",
        Shape::Any => "anything",
    }
}

/// Returns the complaint about a value of another type.
pub(super) fn wrong_type(path: &str, shape: Shape, value: &Value) -> String {
    let found = match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "`true` or `false`",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a section",
    };
    format!("`{path}` wants {}, here is {found}", wanted(shape))
}

/// Returns the complaint about a section where a value belongs.
pub(super) fn section_instead(path: &str, shape: Shape) -> String {
    let words = match shape {
        Shape::Flag => " (newer daemons say `unhandled kv part: bool`)",
        Shape::Text => " (newer daemons say `unhandled kv part: string`)",
        Shape::Integer => " (newer daemons say `unhandled kv part: int`)",
        _ => "",
    };
    format!("`{path}` wants {}, here is a section{words}", wanted(shape))
}
