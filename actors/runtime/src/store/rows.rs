//! The form of stored values: JSON with a version, so that any later build can tell what it reads.

use coffer_domain::{
    configuration::Group,
    ids::{InstanceId, TenantId},
    instance::Instance,
    sealed::Sealed,
    time::Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of the rows that this build writes.
pub const VERSION: u16 = 1;

/// What every row of [`VERSION`] begins with, as [`encode`] writes it.
const HEAD: &[u8] = br#"{"v":1,"row":"#;

/// What most states need: whoever writes a row does not grow it step by step.
const USUAL_BYTES: usize = 1536;

#[derive(Serialize)]
struct Written<'a, T> {
    v: u16,
    row: &'a T,
}

#[derive(Deserialize)]
struct Read<'a> {
    v: u16,
    #[serde(borrow)]
    row: &'a serde_json::value::RawValue,
}

/// That a command was accepted: whoever repeats it gets the same answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedRow {
    /// When it was accepted, or issued if that is later by its client's clock.
    pub at: Timestamp,
    pub instance: InstanceId,
    /// For whoever sends the request again that the command is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<Kept>>,
}

/// The answer to a request that its client may send again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What the API has sealed for itself.
    pub answer: Sealed,
    /// What the command has made, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Why the agent could not do it, in words for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Made {
    Instance(Box<Instance>),
    Group(Box<Group>),
}

/// Which entries a journal has: from `first` on, before `next`. So `first` entries were dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    pub first: u64,
    pub next: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

/// A removed instance whose journal is kept for a while: what is needed to forget it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedRow {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub at: Timestamp,
}

/// Who owns a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// What the node is called, and where it keeps what it makes outside.
    pub node: String,
    pub place: String,
    pub since: Timestamp,
}

/// The whole of a [`RemovedRow`]: with the instance as it was last, for operators. An earlier build has left none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRow {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Box<Instance>>,
}

/// # Panics
/// Never for the types of this crate and of the domain: they have string keys and no failing `Serialize`.
pub fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, &Written { v: VERSION, row }).expect("domain rows serialise to JSON");
    bytes
}

/// Reads a row of any version that this build knows; the error says what is wrong with it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // As this build writes it: parsed once, where finding the version first means to parse it twice.
    if let Some(row) = bytes.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(b"}")) {
        return serde_json::from_slice(row).map_err(|error| error.to_string());
    }
    let read: Read<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if read.v != VERSION {
        return Err(format!("it has version {}, this build reads version {VERSION}", read.v));
    }
    serde_json::from_str(read.row.get()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_with_their_version_and_are_read_however_they_are_spaced() {
        let row = AcceptedRow { at: Timestamp(7), instance: InstanceId(uuid::Uuid::from_u128(1)), kept: None };
        let written = encode(&row);
        assert!(written.starts_with(HEAD));
        assert_eq!(decode::<AcceptedRow>(&written), Ok(row.clone()));
        let spaced = String::from_utf8(written).unwrap().replace(':', " : ").replace("{\"v", "{ \"v");
        assert_eq!(decode::<AcceptedRow>(spaced.as_bytes()).as_ref(), Ok(&row));
        let of_an_earlier_build = br#"{"v":1,"row":{"at":7,"instance":"00000000-0000-0000-0000-000000000001"}}"#;
        assert_eq!(decode::<AcceptedRow>(of_an_earlier_build).as_ref(), Ok(&row));
        assert!(decode::<AcceptedRow>(br#"{"v":2,"row":{}}"#).unwrap_err().contains("version 2"));
        assert!(decode::<AcceptedRow>(br#"{"v":1,"row":{}}}"#).is_err());
    }
}
