//! Where two JSON documents differ.

use serde_json::Value;

/// The path of the first place where they differ, as `$.a.b[0]`; none if they are equal.
pub fn first_difference(left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            keys.into_iter().find_map(|key| step(&member(key), left.get(key), right.get(key)))
        }
        (Value::Array(left), Value::Array(right)) => (0..left.len().max(right.len()))
            .find_map(|index| step(&format!("[{index}]"), left.get(index), right.get(index))),
        _ => (left != right).then(String::new),
    }
    .map(|path| if path.starts_with('$') { path } else { format!("${path}") })
}

fn step(name: &str, left: Option<&Value>, right: Option<&Value>) -> Option<String> {
    match (left, right) {
        (Some(left), Some(right)) => {
            first_difference(left, right).map(|path| format!("{name}{}", &path[1..]))
        }
        _ => Some(name.to_owned()),
    }
}

fn member(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain { format!(".{key}") } else { format!("['{key}']") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_documents_do_not_differ() {
        assert_eq!(first_difference(&json!({ "a": [1] }), &json!({ "a": [1] })), None);
    }

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let left = json!({ "paths": { "/loyalty": { "get": [1, { "x": 2 }] } }, "z": 1 });
        let mut right = left.clone();
        right["z"] = json!(2);
        right["paths"]["/loyalty"]["get"][1]["x"] = json!(3);
        let path = "$.paths['/loyalty'].get[1].x";
        assert_eq!(first_difference(&left, &right).as_deref(), Some(path));
        assert_eq!(first_difference(&json!([1]), &json!([1, 2])).as_deref(), Some("$[1]"));
        assert_eq!(first_difference(&json!({}), &json!({ "a": 1 })).as_deref(), Some("$.a"));
        assert_eq!(first_difference(&json!(1), &json!("1")).as_deref(), Some("$"));
    }
}
