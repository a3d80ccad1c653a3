//! Points in time as JSON writes them.

use crate::pattern;
use obf_types::UnixTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// A second in UTC: `2027-01-31T00:00:00Z` (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub UnixTime);

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self(time)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_xs_date_time())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        UnixTime::from_xs_date_time(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("a date like 2027-01-31T00:00:00Z is needed"))
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A second in UTC (RFC 3339).",
            "pattern": pattern::TIMESTAMP,
            "examples": ["2027-01-31T00:00:00Z"],
        })
    }
}
