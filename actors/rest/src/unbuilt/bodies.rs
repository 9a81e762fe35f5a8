//! What the bodies of these routes may hold.

use crate::bodies::{ANY_OBJECT, DATASTORE, MODULE_IDS};
use crate::shape::{
    FLAG, Key,
    Shape::{
        self, Any, Boolean, Closed, Digits, Flavor, List, Name, Nics, Number, Object, OrNull, Set, Uuid, Volume, Whole,
        Word,
    },
};

pub(super) const BACKUP: Shape = Object(
    &[(
        "backup",
        Object(
            &[("name", Name)],
            &[
                ("description", Name),
                ("instance", Uuid),
                ("parent_id", Uuid),
                ("incremental", FLAG),
                ("swift_container", Name),
                ("storage_driver", Name),
                (
                    "restore_from",
                    Object(&[("remote_location", Name), ("local_datastore_version_id", Uuid), ("size", Number)], &[]),
                ),
            ],
        ),
    )],
    &[],
);

pub(super) const STRATEGY: Shape =
    Object(&[("backup_strategy", Closed(&[("swift_container", Name)], &[("instance_id", Uuid)]))], &[]);

/// `{"modules": [{"id": …}]}` of an instance.
pub(super) const MODULES: Shape = Object(&[("modules", MODULE_IDS)], &[]);

pub(super) const CLUSTER: Shape = Object(
    &[(
        "cluster",
        Object(
            &[
                ("name", Name),
                ("datastore", Object(&[("type", Name), ("version", Name)], &[])),
                (
                    "instances",
                    List(&Object(
                        &[("flavorRef", Flavor)],
                        &[
                            ("volume", Volume),
                            ("nics", Nics),
                            ("availability_zone", Name),
                            ("modules", MODULE_IDS),
                            ("region_name", Name),
                        ],
                    )),
                ),
            ],
            &[("locality", Name), ("configuration", OrNull(&Uuid)), ("extended_properties", ANY_OBJECT)],
        ),
    )],
    &[],
);

pub(super) const CLUSTER_ACTION: Shape = Shape::Action("Action {} not supported", CLUSTER_ACTIONS);

const CLUSTER_ACTIONS: &[Key] = &[
    (
        "grow",
        List(&Object(
            &[("flavorRef", Flavor)],
            &[
                ("name", Name),
                ("volume", Volume),
                ("nics", Nics),
                ("availability_zone", Name),
                ("modules", MODULE_IDS),
                ("related_to", Name),
                ("type", Name),
                ("region_name", Name),
            ],
        )),
    ),
    ("shrink", List(&Object(&[("id", Uuid)], &[]))),
    ("upgrade", Object(&[("datastore_version", Name)], &[])),
    ("restart", ANY_OBJECT),
    ("reset-status", Object(&[], &[("force_delete", Boolean)])),
    ("configuration_attach", Object(&[("configuration_id", Uuid)], &[])),
    ("configuration_detach", ANY_OBJECT),
];

pub(super) const NEW_MODULE: Shape = Object(
    &[(
        "module",
        Object(
            &[("name", Name), ("module_type", Name), ("contents", CONTENTS)],
            &[
                ("description", Name),
                ("datastore", DATASTORE),
                ("auto_apply", FLAG),
                ("all_tenants", FLAG),
                ("visible", FLAG),
                ("live_update", FLAG),
                ("priority_apply", FLAG),
                ("apply_order", Whole(0, 9)),
                ("full_access", FLAG),
            ],
        ),
    )],
    &[],
);

pub(super) const MODULE: Shape = Object(
    &[(
        "module",
        Object(
            &[],
            &[
                ("name", Name),
                ("type", Name),
                ("contents", CONTENTS),
                ("description", Name),
                ("datastore", DATASTORE),
                ("auto_apply", FLAG),
                ("all_tenants", FLAG),
                ("all_datastores", FLAG),
                ("all_datastore_versions", FLAG),
                ("visible", FLAG),
                ("live_update", FLAG),
                ("priority_apply", FLAG),
                ("apply_order", Whole(0, 9)),
                ("full_access", FLAG),
            ],
        ),
    )],
    &[],
);

/// Base64 of a file: any text that is not empty.
const CONTENTS: Shape = Shape::Text;

pub(super) const REAPPLY: Shape = Object(
    &[(
        "reapply",
        Object(
            &[],
            &[("md5", Any), ("include_clustered", Any), ("batch_size", Any), ("batch_delay", Any), ("force", Any)],
        ),
    )],
    &[],
);

pub(super) const LOG: Shape =
    Object(&[("name", Name)], &[("enable", FLAG), ("disable", FLAG), ("publish", FLAG), ("discard", FLAG)]);

pub(super) const SSL: Shape = Object(
    &[(
        "ssl",
        Object(
            &[],
            &[
                ("enable", FLAG),
                ("disable", FLAG),
                ("rollback", FLAG),
                ("container_ref", Name),
                ("password_ref", Name),
                ("mode", Word(&["basic", "enforced", "mtls"])),
            ],
        ),
    )],
    &[],
);

pub(super) const UPGRADE: Shape =
    Object(&[("upgrade", Object(&[], &[("instance_version", Name), ("location", Name), ("metadata", Any)]))], &[]);

pub(super) const RESET_TASK: Shape = Closed(&[("reset-task", ANY_OBJECT)], &[]);

const PACKAGES: Shape = Set(usize::MAX, &Name);
const IMAGE_TAGS: Shape = Set(5, &Name);

pub(super) const NEW_VERSION: Shape = Object(
    &[(
        "version",
        Closed(
            &[("name", Name), ("datastore_name", Name), ("datastore_manager", Name), ("active", Boolean)],
            &[
                ("packages", PACKAGES),
                ("image", Uuid),
                ("image_tags", IMAGE_TAGS),
                ("registry_ext", Name),
                ("repl_strategy", Name),
                ("default", Boolean),
                ("version", Name),
            ],
        ),
    )],
    &[],
);

pub(super) const VERSION: Shape = Closed(
    &[],
    &[
        ("name", Name),
        ("datastore_manager", Name),
        ("packages", PACKAGES),
        ("image", Uuid),
        ("image_tags", IMAGE_TAGS),
        ("registry_ext", Name),
        ("repl_strategy", Name),
        ("active", Boolean),
        ("default", Boolean),
    ],
);

pub(super) const PARAMETER: Shape = Object(
    &[(
        "configuration-parameter",
        Object(
            &[("name", Name), ("data_type", Word(&["integer", "string"])), ("restart_required", FLAG)],
            &[("max_size", Digits), ("min_size", Digits)],
        ),
    )],
    &[],
);
