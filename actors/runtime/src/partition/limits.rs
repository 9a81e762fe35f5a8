//! What each tenant may have: the limits of everybody, but for those that were set for it alone.

use std::{collections::HashMap, sync::Arc};

use coffer_domain::{
    command::{Command, Envelope},
    ids::TenantId,
    quota::{Limits, TenantLimits},
    time::Timestamp,
};

use super::{Partition, overlays};
use crate::store::StoreError;

/// With all that is decided, of the tenants that were asked for.
pub(super) type Known = HashMap<TenantId, Arc<Limits>>;

impl Partition {
    pub(super) fn limits_of(&mut self, tenant: &TenantId) -> Result<Arc<Limits>, StoreError> {
        if let Some(limits) = self.limits.get(tenant) {
            return Ok(limits.clone());
        }
        let common = &self.parts.limits;
        let limits = match self.parts.store.limits(self.id, tenant)? {
            Some(own) => Arc::new(own.limits.over(common)),
            None => common.clone(),
        };
        self.limits.insert(tenant.clone(), limits.clone());
        Ok(limits)
    }

    /// Sets what a tenant may have, whatever it has already.
    pub(super) fn set_limits(&mut self, envelope: &Envelope, now: Timestamp) -> Result<(), StoreError> {
        let Command::SetQuota { limits: change } = &envelope.command else { return Ok(()) };
        let tenant = &envelope.tenant;
        let before = match overlays(&self.open, &self.committing).find_map(|overlay| overlay.limits(tenant)) {
            Some(before) => Some(before),
            None => self.parts.store.limits(self.id, tenant)?,
        };
        let after = TenantLimits::set(before.as_ref(), *change, envelope, now);
        self.limits.insert(tenant.clone(), Arc::new(after.limits.over(&self.parts.limits)));
        self.open.overlay.put_limits(tenant, after);
        Ok(())
    }
}
