//! `rpc.discover`: the OpenRPC document of all that is registered. Its schemas are made from the
//! types that parameters are read into and answers are written from.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Where the document keeps what several schemas share.
const SHARED: &str = "/components/schemas";

/// Makes the schema of one type.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A method, as it was registered.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub name: &'static str,
    pub summary: &'static str,
    /// Parameters that may come by position.
    pub leading: &'static [&'static str],
    params: Shape,
    result: Shape,
    /// The notification that follows, and the shape of its `result`.
    changed: Option<(&'static str, Shape)>,
}

impl Described {
    /// A call with one answer.
    pub fn method<P: JsonSchema, R: JsonSchema>(
        name: &'static str,
        summary: &'static str,
        leading: &'static [&'static str],
    ) -> Self {
        // Parameters are told one by one, so their shape is no reference.
        Described {
            name,
            summary,
            leading,
            params: P::json_schema,
            result: shape::<R>,
            changed: None,
        }
    }

    /// A subscription.
    pub fn feed<P: JsonSchema, N: JsonSchema>(
        name: &'static str,
        summary: &'static str,
        leading: &'static [&'static str],
        changed: &'static str,
    ) -> Self {
        let changed = Some((changed, shape::<N> as Shape));
        Described { changed, ..Described::method::<P, u64>(name, summary, leading) }
    }

    /// The end of any subscription of a noun.
    pub fn unsubscribe(name: &'static str) -> Self {
        let summary = "Ends a subscription; false where there is no such one";
        Described::method::<Unsubscribe, bool>(name, summary, &["subscription"])
    }
}

/// A notification that belongs to no subscription.
#[derive(Debug, Clone)]
pub(super) struct Told {
    name: &'static str,
    summary: &'static str,
    params: Shape,
}

impl Told {
    /// A notification whose parameters are a `P`.
    pub fn of<P: JsonSchema>(name: &'static str, summary: &'static str) -> Self {
        Told { name, summary, params: shape::<P> }
    }
}

/// The parameters of every `…/unsubscribe`.
#[derive(JsonSchema)]
#[allow(dead_code)] // they are read where the loop ends subscriptions
struct Unsubscribe {
    subscription: u64,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The document.
pub(super) fn document(methods: &[Described], notifications: &[Told]) -> Value {
    let settings =
        || SchemaSettings::draft07().with(|settings| settings.definitions_path = SHARED.into());
    let mut given = settings().for_deserialize().into_generator();
    let mut told = settings().for_serialize().into_generator();
    let methods: Vec<Value> =
        methods.iter().map(|method| describe(method, &mut given, &mut told)).collect();
    let notification = |notification: &Told| {
        let Told { name, summary, params } = notification;
        json!({ "name": name, "summary": summary, "params": finished(*params, &mut told) })
    };
    let notifications: Vec<Value> = notifications.iter().map(notification).collect();
    let mut schemas = given.take_definitions(true);
    schemas.extend(told.take_definitions(true));
    let mut document = json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "LazyCelery",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE") },
            "description": "Watches Celery clusters. What all methods have in common, errors and \
                notifications are explained in docs/protocol.md.",
        },
        "methods": methods,
        "x-notifications": notifications,
        "components": { "schemas": schemas },
    });
    absent_is_no_null(&mut document);
    document
}

fn describe(method: &Described, given: &mut SchemaGenerator, told: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "name": method.name,
        "summary": method.summary,
        "paramStructure": if method.leading.is_empty() { "by-name" } else { "either" },
        "params": params(method, finished(method.params, given)),
        "result": { "name": "result", "schema": finished(method.result, told) },
    });
    if let Some((name, shape)) = method.changed {
        described["x-notification"] = json!({ "name": name, "result": finished(shape, told) });
    }
    described
}

fn finished(shape: Shape, generator: &mut SchemaGenerator) -> Value {
    let mut schema = shape(generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}

/// One descriptor for each parameter, in the order in which they may come by position.
fn params(method: &Described, mut schema: Value) -> Vec<Value> {
    let required = schema["required"].take();
    let is_required =
        |name: &str| required.as_array().is_some_and(|names| names.contains(&name.into()));
    let Value::Object(mut properties) = schema["properties"].take() else { return Vec::new() };
    let descriptor = |name: &str, mut schema: Value| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut descriptor = Map::from_iter([("name".to_owned(), Value::from(name))]);
        descriptor.extend(description.map(|text| ("description".to_owned(), text)));
        descriptor.insert("required".into(), is_required(name).into());
        descriptor.insert("schema".into(), schema);
        Value::Object(descriptor)
    };
    let leading =
        method.leading.iter().filter_map(|name| Some((*name, properties.shift_remove(*name)?)));
    let mut descriptors: Vec<Value> =
        leading.map(|(name, schema)| descriptor(name, schema)).collect();
    descriptors.extend(properties.into_iter().map(|(name, schema)| descriptor(&name, schema)));
    descriptors
}

/// What is not known is absent, never null; a Rust `Option` would allow both.
fn absent_is_no_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(absent_is_no_null),
        Value::Object(members) => {
            members.values_mut().for_each(absent_is_no_null);
            if members.get("default") == Some(&Value::Null) {
                members.remove("default");
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({ "type": "null" }));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    members.remove("anyOf");
                    members.extend(only);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_absent_and_never_null() {
        let mut schema = json!({
            "a": { "type": ["string", "null"], "default": null },
            "b": { "anyOf": [{ "$ref": "#/x" }, { "type": "null" }], "description": "d" },
            "c": { "type": "null" },
        });
        absent_is_no_null(&mut schema);
        let wanted = json!({
            "a": { "type": "string" },
            "b": { "description": "d", "$ref": "#/x" },
            "c": { "type": "null" },
        });
        assert_eq!(schema, wanted);
    }
}
