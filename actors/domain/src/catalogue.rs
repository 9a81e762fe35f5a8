//! What is on offer: datastores with their versions, and flavors.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::rejection::Rejection;

/// The catalogue as a partition knows it. Small, read often, changed by operators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    pub datastores: Vec<Datastore>,
    pub flavors: Vec<Flavor>,
    /// Filled in when a client names no datastore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_datastore: Option<Uuid>,
    /// Names that an order may give for its volume; without a name it gets the provider's default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_types: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datastore {
    pub id: Uuid,
    /// For example `mysql`.
    pub name: String,
    pub versions: Vec<DatastoreVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_version: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatastoreVersion {
    pub id: Uuid,
    /// For example `10.11`.
    pub name: String,
    /// Trove's `version` / `version_number`.
    pub number: String,
    /// Which of the agent's datastores runs it, for example `mysql`.
    pub manager: String,
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    pub id: String,
    pub name: String,
    pub memory_mib: u64,
    pub vcpus: u32,
    /// Root disk in GiB; 0 where the provider has none.
    #[serde(default)]
    pub disk_gib: u32,
    #[serde(default)]
    pub ephemeral_gib: u32,
}

impl Catalogue {
    pub fn flavor(&self, id: &str) -> Option<&Flavor> {
        self.flavors.iter().find(|flavor| flavor.id == id)
    }

    /// Refuses a volume type that is not on offer, and names those that are.
    pub fn check_volume_type(&self, wanted: Option<&str>) -> Result<(), Rejection> {
        match wanted {
            Some(name) if !self.volume_types.iter().any(|known| known == name) => {
                let known = match &self.volume_types[..] {
                    [] => "there are none: leave it out".to_owned(),
                    names => format!("there are: {}", names.join(", ")),
                };
                Err(Rejection::invalid(format!("Volume type '{name}' cannot be found; {known}.")))
            }
            _ => Ok(()),
        }
    }

    /// The active version with this id, or the default one, with its datastore.
    pub fn offered(&self, id: Option<Uuid>) -> Result<(&Datastore, &DatastoreVersion), Rejection> {
        let found = match id {
            Some(id) => self.version_by_id(id),
            None => self.default_datastore().and_then(|datastore| Some((datastore, datastore.default_version()?))),
        };
        let wanted = id.map_or_else(|| "default".to_owned(), |id| id.to_string());
        found
            .filter(|(_, version)| version.active)
            .ok_or_else(|| Rejection::invalid(format!("Datastore version '{wanted}' cannot be found.")))
    }

    /// A datastore by id or name, active versions or not.
    pub fn datastore(&self, id_or_name: &str) -> Option<&Datastore> {
        self.datastores.iter().find(|datastore| datastore.name == id_or_name || datastore.id.to_string() == id_or_name)
    }

    pub fn default_datastore(&self) -> Option<&Datastore> {
        let id = self.default_datastore?;
        self.datastores.iter().find(|datastore| datastore.id == id)
    }

    /// A version by its id alone, with its datastore.
    pub fn version_by_id(&self, id: Uuid) -> Option<(&Datastore, &DatastoreVersion)> {
        self.datastores
            .iter()
            .find_map(|datastore| Some((datastore, datastore.versions.iter().find(|version| version.id == id)?)))
    }
}

impl Datastore {
    /// A version by id or name.
    pub fn version(&self, id_or_name: &str) -> Option<&DatastoreVersion> {
        self.versions.iter().find(|version| version.name == id_or_name || version.id.to_string() == id_or_name)
    }

    pub fn default_version(&self) -> Option<&DatastoreVersion> {
        let id = self.default_version?;
        self.versions.iter().find(|version| version.id == id && version.active)
    }
}
