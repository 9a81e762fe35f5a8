//! The `Volumes` port: directories. Their size is recorded, not enforced: what is used of it can be seen.

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    cloud::{Owner, VolumeRequest, Volumes},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::blocking,
    files::{ensure_directory, read_json, remove_tree, write_json},
    layout::InstanceId,
    provider::{LocalProvider, Shared},
    spec::RECORD_VERSION,
};

/// `volumes/INSTANCE/volume.json`.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u16,
    tenant: String,
    size_gib: u32,
}

#[async_trait]
impl Volumes for LocalProvider {
    async fn ensure_volume(&self, request: &VolumeRequest) -> Result<String> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&request.owner.instance)?);
        let record =
            Record { version: RECORD_VERSION, tenant: request.owner.tenant.clone(), size_gib: request.size_gib };
        blocking(move || ensure(&shared, instance, &record)).await?;
        Ok(instance.to_string())
    }

    async fn grow_volume(&self, owner: &Owner, size_gib: u32) -> Result<()> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&owner.instance)?);
        let tenant = owner.tenant.clone();
        blocking(move || {
            let _change = shared.change()?;
            let mut record = existing(&shared, instance, &tenant)?;
            if record.size_gib < size_gib {
                record.size_gib = size_gib;
                write_json(&shared.layout.volume_record(instance), &record, 0o600)?;
            }
            Ok(())
        })
        .await
    }

    async fn measure_volume(&self, owner: &Owner) -> Result<u32> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&owner.instance)?);
        let tenant = owner.tenant.clone();
        blocking(move || Ok(existing(&shared, instance, &tenant)?.size_gib)).await
    }

    async fn delete_volume(&self, owner: &Owner) -> Result<()> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&owner.instance)?);
        let tenant = owner.tenant.clone();
        blocking(move || {
            if shared.is_foreign(instance, &tenant)? { Ok(()) } else { remove_tree(&shared.layout.volume(instance)) }
        })
        .await
    }
}

fn existing(shared: &Shared, instance: InstanceId, tenant: &str) -> Result<Record> {
    shared.check_owner(instance, tenant)?;
    read_json(&shared.layout.volume_record(instance))?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "local.no_volume", format!("there is no volume of {instance}")))
}

fn ensure(shared: &Shared, instance: InstanceId, record: &Record) -> Result<()> {
    shared.check_owner(instance, &record.tenant)?;
    let user = shared.ensure_user(instance, &record.tenant)?;
    let layout = &shared.layout;
    let _change = shared.change()?;
    ensure_directory(&layout.volume(instance), shared.passage_mode(), None)?;
    ensure_directory(&layout.data(instance), 0o700, user)?;
    let path = layout.volume_record(instance);
    if read_json::<Record>(&path)?.as_ref() != Some(record) {
        write_json(&path, record, 0o600)?;
    }
    Ok(())
}
