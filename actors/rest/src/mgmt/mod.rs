//! What only admins are shown: below `/mgmt`, where anybody else gets 401.

pub(crate) mod datastore_versions;
pub(crate) mod instances;
pub(crate) mod questions;
