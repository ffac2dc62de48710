//! Converts the XML of AWS's Query protocols to JSON: an element with child elements becomes an object, repeated names
//! become lists.

use roxmltree::{Document, Node};
use serde_json::{Map, Value};

/// Parses a response, without the name of the root element.
pub(super) fn parse(text: &str) -> Option<Value> {
    Some(value(Document::parse(text).ok()?.root_element()))
}

fn value(node: Node<'_, '_>) -> Value {
    let mut fields = Map::new();
    for child in node.children().filter(Node::is_element) {
        let name = child.tag_name().name();
        let is_item = matches!(name, "member" | "item" | "entry");
        match fields.get_mut(name) {
            Some(Value::Array(all)) => all.push(value(child)),
            Some(one) => {
                let first = one.take();
                *one = Value::Array(vec![first, value(child)]);
            }
            None if is_item => drop(fields.insert(name.to_owned(), Value::Array(vec![value(child)]))),
            None => drop(fields.insert(name.to_owned(), value(child))),
        }
    }
    if fields.is_empty() {
        return Value::String(node.text().unwrap_or_default().trim().to_owned());
    }
    // An element with nothing but items is a list.
    if fields.len() == 1 && fields.keys().all(|name| matches!(name.as_str(), "member" | "item")) {
        return fields.into_iter().next().map(|(_, items)| items).unwrap_or_default();
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn lists_and_objects_are_told_apart() {
        let text = "<R xmlns='x'><A><member><N>1</N></member></A><B><item>x</item><item>y</item></B><C/><D><I>1</I></D></R>";
        let expected = json!({"A": [{"N": "1"}], "B": ["x", "y"], "C": "", "D": {"I": "1"}});
        assert_eq!(super::parse(text).unwrap(), expected);
    }
}
