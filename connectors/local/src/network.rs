//! The `Network` port: loopback addresses.

use async_trait::async_trait;
use coffer_ports::{
    Result,
    cloud::{Address, Network, Owner},
};

use crate::{error::blocking, layout::InstanceId, provider::LocalProvider};

#[async_trait]
impl Network for LocalProvider {
    async fn ensure_address(&self, owner: &Owner) -> Result<Address> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&owner.instance)?);
        let tenant = owner.tenant.clone();
        let ip = blocking(move || {
            shared.check_owner(instance, &tenant)?;
            shared.addresses.ensure(instance, &tenant)
        })
        .await?;
        Ok(Address { ip: ip.to_string(), network_id: None })
    }

    async fn release_address(&self, owner: &Owner) -> Result<()> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&owner.instance)?);
        let tenant = owner.tenant.clone();
        blocking(
            move || if shared.is_foreign(instance, &tenant)? { Ok(()) } else { shared.addresses.release(instance) },
        )
        .await
    }
}
