//! Converts the XML of AWS's Query protocols to JSON: an element with child elements becomes an object, repeated names
//! become lists.

use roxmltree::{Document, Node};
use serde_json::{Map, Value};

/// Parses a response, without the name of the root element.
pub(super) fn parse(text: &str) -> Option<Value> {
    value(Document::parse(text).ok()?.root_element(), DEEPEST)
}

/// How deep elements can be nested: each level takes room on the stack. AWS's responses have fewer than twenty levels.
const DEEPEST: usize = 100;

/// Returns the value of an element; `None` if more levels than these are nested in it.
fn value(node: Node<'_, '_>, levels: usize) -> Option<Value> {
    let levels = levels.checked_sub(1)?;
    let mut fields = Map::new();
    for child in node.children().filter(Node::is_element) {
        let (name, value) = (child.tag_name().name(), value(child, levels)?);
        let is_item = matches!(name, "member" | "item" | "entry");
        match fields.get_mut(name) {
            Some(Value::Array(all)) => all.push(value),
            Some(one) => {
                let first = one.take();
                *one = Value::Array(vec![first, value]);
            }
            None if is_item => drop(fields.insert(name.to_owned(), Value::Array(vec![value]))),
            None => drop(fields.insert(name.to_owned(), value)),
        }
    }
    if fields.is_empty() {
        return Some(Value::String(node.text().unwrap_or_default().trim().to_owned()));
    }
    // An element with nothing but items is a list.
    if fields.len() == 1 && fields.keys().all(|name| matches!(name.as_str(), "member" | "item")) {
        return fields.into_iter().next().map(|(_, items)| items);
    }
    Some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn lists_and_objects_are_distinguished() {
        let text = "<R xmlns='x'><A><member><N>1</N></member></A><B><item>x</item><item>y</item></B><C/><D><I>1</I></D></R>";
        let expected = json!({"A": [{"N": "1"}], "B": ["x", "y"], "C": "", "D": {"I": "1"}});
        assert_eq!(super::parse(text).unwrap(), expected);
    }

    #[test]
    fn elements_nested_too_deep_are_no_answer() {
        let nested = |levels| super::parse(&format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels)));
        assert!(nested(100).is_some());
        assert!(nested(101).is_none() && nested(200_000).is_none());
    }
}
