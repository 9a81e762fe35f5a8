//! What is checked besides the shape of a body.

use super::Asked;
use crate::{
    commands, datastores,
    error::{Error, Result},
    instances, mgmt,
};

pub(super) fn admin(asked: &Asked<'_>) -> Result<()> {
    asked.caller.require_admin()
}

/// The instance that the path names is the caller's.
pub(super) fn instance(asked: &Asked<'_>) -> Result<()> {
    commands::find_id(asked.shim, asked.caller, &asked.named("instance")).map(drop)
}

/// The instance that the path names is anybody's.
pub(super) fn anybodys_instance(asked: &Asked<'_>) -> Result<()> {
    mgmt::instances::find(asked.shim, &asked.named("instance")).map(drop)
}

/// The version that the path names by its id.
pub(super) fn version(asked: &Asked<'_>) -> Result<()> {
    let catalogue = asked.shim.control.catalogue();
    datastores::find_version_by_id(&catalogue, asked.caller, &asked.named("version")).map(drop)
}

pub(super) fn datastore_is_unused(asked: &Asked<'_>) -> Result<()> {
    let catalogue = asked.shim.control.catalogue();
    let datastore = datastores::find(&catalogue, asked.caller, &asked.named("datastore"))?;
    if datastore.versions.is_empty() {
        return Ok(());
    }
    Err(Error::bad_request(format!("Datastore versions exist for datastore {}.", datastore.name)))
}

/// `all_projects` and `project_id` of the list of backups.
pub(super) fn own_project_or_admin(asked: &Asked<'_>) -> Result<()> {
    const YES: [&str; 6] = ["1", "t", "true", "on", "y", "yes"];
    let all = asked.queried("all_projects").is_some_and(|word| YES.contains(&word.to_ascii_lowercase().as_str()));
    let one = asked.queried("project_id").is_some_and(|project| !project.is_empty());
    let rule = if all || one { "backup:index:all_projects" } else { "backup:index" };
    asked.shim.policy.check(asked.caller, rule)
}

pub(super) fn own_strategies_or_admin(asked: &Asked<'_>) -> Result<()> {
    let tenant = asked.caller.tenant();
    let is_other = asked.queried("project_id").is_some_and(|project| project != tenant.0);
    if is_other && !asked.caller.is_admin {
        return Err(Error::forbidden(format!("Operation not allowed for tenant {tenant}.")));
    }
    Ok(())
}

/// A backup is of an instance of the caller's, unless it is taken in from elsewhere.
pub(super) fn backup(asked: &Asked<'_>) -> Result<()> {
    let backup = asked.body.required("backup")?;
    if backup.optional("restore_from")?.is_some() {
        return Ok(());
    }
    let instance = backup.optional("instance")?.ok_or_else(|| Error::bad_request("instance is missing."))?;
    commands::find_id(asked.shim, asked.caller, instance.text()?).map(drop)
}

/// No datastore has clusters.
pub(super) fn clusters_of_a_datastore(asked: &Asked<'_>) -> Result<()> {
    let datastore = asked.body.required("cluster")?.required("datastore")?;
    let choice = instances::order::datastore(&datastore)?;
    let catalogue = asked.shim.control.catalogue();
    let version = instances::create::choose_version(&catalogue, asked.caller, &choice)?;
    let name = choice.datastore.unwrap_or_default();
    Err(Error::not_implemented(format!("Clusters not supported for {name}-{}.", version.name)))
}

pub(super) fn module(asked: &Asked<'_>) -> Result<()> {
    const TYPES: [&str; 2] = ["ping", "new_relic_license"];
    const FOR_ADMINS: [&str; 4] = ["auto_apply", "all_tenants", "priority_apply", "full_access"];
    let module = asked.body.required("module")?;
    let kind = module.required("module_type")?.text()?;
    if !TYPES.contains(&kind.to_ascii_lowercase().as_str()) {
        return Err(Error::not_found(format!("Module type '{}' was not found.", kind.escape_debug())));
    }
    for option in FOR_ADMINS {
        let is_set = module.optional(option)?.is_some_and(|node| node.whole() == Some(1));
        if is_set && !asked.caller.is_admin {
            return Err(Error::forbidden(format!("The option '{option}' of a module is for admins.")));
        }
    }
    Ok(())
}

pub(super) fn log_action(asked: &Asked<'_>) -> Result<()> {
    if is_set(asked, "enable")? && is_set(asked, "disable")? {
        return Err(Error::bad_request("A log cannot be enabled and disabled at once."));
    }
    Ok(())
}

fn is_set(asked: &Asked<'_>, key: &str) -> Result<bool> {
    Ok(asked.body.optional(key)?.is_some_and(|node| node.whole() == Some(1)))
}

pub(super) fn ssl_action(asked: &Asked<'_>) -> Result<()> {
    let ssl = asked.body.required("ssl")?;
    let is_set = |key: &str| Ok(ssl.optional(key)?.is_some_and(|node| node.whole() == Some(1)));
    let asked_for = ["enable", "disable", "rollback"].map(is_set).into_iter().collect::<Result<Vec<bool>>>()?;
    match asked_for[..] {
        [true, false, false] if ssl.optional("container_ref")?.is_none() => {
            Err(Error::bad_request("You should provide container_ref for enabling ssl."))
        }
        _ if asked_for.iter().filter(|is_set| **is_set).count() == 1 => Ok(()),
        _ => Err(Error::bad_request("Cannot do several operations at once, nor none: enable, disable or rollback.")),
    }
}

/// A new version names an image, or tags to find one by.
pub(super) fn image(asked: &Asked<'_>) -> Result<()> {
    let version = asked.body.required("version")?;
    let has_tags =
        version.optional("image_tags")?.map(|tags| tags.items()).transpose()?.is_some_and(|tags| !tags.is_empty());
    if has_tags || version.optional("image")?.is_some() {
        return Ok(());
    }
    Err(Error::bad_request("Image must be specified."))
}
