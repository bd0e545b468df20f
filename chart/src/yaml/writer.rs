use crate::Value;

/// Writes `value` byte for byte as Helm's `toYaml` does, but with the line feed at its end.
pub fn to_yaml(value: &Value) -> String {
    let _ = value;
    String::new()
}
