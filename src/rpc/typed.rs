//! Shapes for the document of the protocol: JSON that was made from a type.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::marker::PhantomData;

/// JSON that a `T` describes. Rows are made under a lock of what they borrow from, so they are
/// JSON by the time they are answered.
pub(super) struct Typed<T>(Value, PhantomData<fn() -> T>);

impl<T> From<Value> for Typed<T> {
    fn from(value: Value) -> Self {
        Typed(value, PhantomData)
    }
}

impl<T> PartialEq for Typed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Clone for Typed<T> {
    fn clone(&self) -> Self {
        Typed(self.0.clone(), PhantomData)
    }
}

impl<T> Serialize for Typed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Typed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A row of a list over one environment or all.
#[derive(JsonSchema)]
#[schemars(rename = "{T}")]
#[allow(dead_code)] // only its shape is needed: rows are JSON already
pub(super) struct Row<T> {
    #[serde(flatten)]
    row: T,
    /// Under `environment: "*"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
}
