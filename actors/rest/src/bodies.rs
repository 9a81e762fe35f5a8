//! What the bodies of requests may hold: Trove's schemas, key by key.

use crate::{
    body::Schema,
    shape::{
        Key,
        Shape::{
            self, Action, Any, Boolean, Cidrs, Closed, Flavor, Group, Limit, List, Name, Needing, Nics, Object, Open,
            OrNull, Some, Str, Uuid, Values, Volume, Whole,
        },
    },
};

/// Declares a type for each body, as handlers name it.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident: $shape:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Schema for $name {
            const SHAPE: &'static Shape = &$shape;
        }
    )*};
}

bodies! {
    /// `POST /instances`. Without a flavor only as a replica.
    NewInstance: Object(&[("instance", Needing(&["flavorRef", "replica_of"], &INSTANCE))], &[]);
    /// `PUT` and `PATCH /instances/{id}`.
    InstanceChange: Object(&[("instance", Closed(&[], INSTANCE_CHANGES))], &[]);
    InstanceAction: Action("Invalid instance action: {}", INSTANCE_ACTIONS);
    NewDatabases: Object(&[("databases", List(&DATABASE))], &[]);
    NewUsers: Object(&[("users", List(&USER))], &[]);
    UserChange: Object(&[("user", Some(&[("name", Name), ("password", Name), ("host", Str)]))], &[]);
    NewPasswords: Object(&[("users", List(&Object(&[("name", Name), ("password", Name)], &[("host", Str)])))], &[]);
    Granted: Object(&[("databases", List(&NAMED))], &[]);
    NewGroup: Object(
        &[(
            "configuration",
            Object(
                &[("name", Name), ("values", Values)],
                &[("description", OrNull(&Str)), ("datastore", DATASTORE)],
            ),
        )],
        &[],
    );
    /// What is not named stays.
    GroupPatch: Object(&[("configuration", Object(&[], &[("values", Values)]))], &[]);
    GroupReplacement: Object(
        &[("configuration", Object(&[], &[("name", Name), ("description", OrNull(&Str)), ("values", Values)]))],
        &[],
    );
    /// `POST /mgmt/instances/{id}/action`.
    OperatorsAction: Action("Invalid instance action: {}", &[
        ("reboot", ANY_OBJECT),
        ("reset-task-status", ANY_OBJECT),
        ("stop", ANY_OBJECT),
        ("migrate", ANY_OBJECT),
        ("rebuild", Closed(&[("image_id", Uuid)], &[])),
    ]);
    /// `PUT /mgmt/quotas/{id}`. Another resource has another status than a wrong limit.
    QuotaChange: Object(&[("quotas", Open(&[], QUOTAS))], &[]);
    /// `POST /v3/auth/tokens`. What else is there depends on the method.
    Login: Object(&[("auth", Object(&[("identity", Object(&[("methods", List(&Str))], &[]))], &[("scope", Any)]))], &[]);
}

/// `POST …/root`: a password or none.
pub(crate) struct RootPassword;

impl Schema for RootPassword {
    const SHAPE: &'static Shape = &OrNull(&Object(&[], &[("password", OrNull(&Name))]));
    const IS_OPTIONAL: bool = true;
}

pub(crate) const ANY_OBJECT: Shape = Object(&[], &[]);
pub(crate) const DATASTORE: Shape = Object(&[], &[("type", Name), ("version", Name), ("version_number", Name)]);
/// `[{"id": …}]`
pub(crate) const MODULE_IDS: Shape = List(&Object(&[("id", Uuid)], &[]));

/// A limit, its digits from the legacy shell, or null for what stays as it is.
const QUOTA: Shape = OrNull(&Limit);
const QUOTAS: &[Key] = &[("instances", QUOTA), ("volumes", QUOTA), ("ram", QUOTA), ("backups", QUOTA)];
const NAMED: Shape = Object(&[("name", Name)], &[]);
const DATABASE: Shape = Object(&[("name", Name)], &[("character_set", Name), ("collate", Name)]);
const USER: Shape = Object(&[("name", Name), ("password", Name)], &[("host", Str), ("databases", List(&NAMED))]);
/// As the keys of [`INSTANCE`] and of a change have it.
const ACCESS: &[Key] = &[("is_public", Boolean), ("allowed_cidrs", Cidrs)];

const INSTANCE: Shape = Object(
    &[("name", Name)],
    &[
        ("flavorRef", Flavor),
        ("volume", Volume),
        ("datastore", DATASTORE),
        ("databases", List(&DATABASE)),
        ("users", List(&USER)),
        ("nics", Nics),
        ("access", OrNull(&Object(&[], ACCESS))),
        ("configuration", OrNull(&Group)),
        ("availability_zone", Name),
        ("region_name", Name),
        ("locality", Name),
        ("replica_of", OrNull(&Uuid)),
        ("slave_of", OrNull(&Uuid)),
        ("replica_count", Whole(0, i64::MAX)),
        ("restorePoint", OrNull(&Object(&[("backupRef", Uuid)], &[]))),
        ("modules", OrNull(&MODULE_IDS)),
    ],
);

/// At most one of them besides the name. `slave_of` is the old word for `replica_of`.
const INSTANCE_CHANGES: &[Key] = &[
    ("name", Name),
    ("configuration", OrNull(&Group)),
    ("replica_of", Any),
    ("datastore_version", Name),
    ("access", Closed(&[], ACCESS)),
    ("slave_of", Any),
];

const INSTANCE_ACTIONS: &[Key] = &[
    ("restart", ANY_OBJECT),
    (
        "resize",
        Action("A resize is one of 'volume' and 'flavorRef', not {}", &[("volume", Volume), ("flavorRef", Flavor)]),
    ),
    ("reset_status", Closed(&[], &[("force_delete", Boolean)])),
    ("promote_to_replica_source", ANY_OBJECT),
    ("eject_replica_source", ANY_OBJECT),
];
