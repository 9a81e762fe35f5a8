//! An instance as clients see it: the short row of a list and the detailed one, put together from the parts that the
//! store holds and the addresses of this service.

use coffer_domain::{ids::InstanceId, instance::shown::Shown};
use uuid::fmt::Hyphenated;

use crate::{Shim, caller::Caller, error::Error};

/// How much of an instance is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Listed,
    Detailed,
}

/// What a row needs besides the stored parts, as JSON.
pub(crate) struct Render {
    /// `"http://host/v1.0/tenant/`, with the quote.
    resource: String,
    /// `"http://host/`, with the quote.
    bookmark: String,
    region: String,
    for_admin: bool,
}

impl Render {
    pub fn new(shim: &Shim, caller: &Caller) -> Self {
        let base = |path: &str| {
            let mut text = json(&caller.links.base.join(path));
            text.pop();
            text
        };
        Self {
            resource: base(&format!("/v1.0/{}/", caller.tenant().0)),
            bookmark: base("/"),
            region: format!("\"region\":{}", json(&shim.config.region)),
            for_admin: caller.is_admin,
        }
    }

    /// Appends an instance as a JSON object.
    pub fn write(&self, out: &mut String, id: InstanceId, shown: &Shown<'_>, extent: Extent) {
        let region = if shown.region.is_empty() { self.region.as_str() } else { shown.region };
        let (part, part_for_admins) = match extent {
            Extent::Listed => (shown.listed, ""),
            Extent::Detailed => (shown.detailed, shown.for_admins_detailed),
        };
        let mut buffer = [0; Hyphenated::LENGTH];
        let id = id.0.hyphenated().encode_lower(&mut buffer);
        out.push('{');
        for text in [shown.common, ",", region, ",", part] {
            out.push_str(text);
        }
        if self.for_admin {
            for part in [shown.for_admins, part_for_admins].into_iter().filter(|part| !part.is_empty()) {
                out.push(',');
                out.push_str(part);
            }
        }
        for text in [",\"flavor\":{\"id\":\"", shown.flavor_id, "\","] {
            out.push_str(text);
        }
        self.links(out, "flavors/", shown.flavor_id);
        out.push_str("},");
        if let Some((id, name)) = shown.configuration.filter(|_| extent == Extent::Detailed) {
            for text in ["\"configuration\":{\"id\":\"", id, "\",\"name\":", name, ","] {
                out.push_str(text);
            }
            self.links(out, "configurations/", id);
            out.push_str("},");
        }
        self.links(out, "instances/", id);
        out.push('}');
    }

    /// `"links":[…]` of a resource, as [`crate::links::Links::to`] has them. Collection and id stand between quotes as they are.
    fn links(&self, out: &mut String, collection: &str, id: &str) {
        let texts = [
            "\"links\":[{\"href\":",
            self.resource.as_str(),
            collection,
            id,
            "\",\"rel\":\"self\"},{\"href\":",
            self.bookmark.as_str(),
            collection,
            id,
            "\",\"rel\":\"bookmark\"}]",
        ];
        for text in texts {
            out.push_str(text);
        }
    }

    /// `{"instance": …}`, in detail.
    pub fn one(&self, id: InstanceId, row: &[u8]) -> Result<String, Error> {
        let mut out = String::with_capacity(row.len() + 1024);
        out.push_str("{\"instance\":");
        self.write(&mut out, id, &read(row)?, Extent::Detailed);
        out.push('}');
        Ok(out)
    }
}

/// The store hands out rows of this build only.
pub(crate) fn read(row: &[u8]) -> Result<Shown<'_>, Error> {
    Shown::read(row).ok_or_else(|| Error::internal("The instance's row cannot be read."))
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
