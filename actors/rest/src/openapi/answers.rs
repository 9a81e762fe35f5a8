//! What answers are made of. The tests hold every answer that they get against this.

use crate::shape::{
    Key,
    Shape::{self, AnyOf, Boolean, Int, List, Number, Object, Open, OrNull, Shared, Str, Uuid, Word},
};

pub(super) const VERSIONS: Shape = Object(&[("versions", List(&VERSION_OF_THE_API))], &[]);
pub(super) const ONE_VERSION: Shape = Object(&[("version", VERSION_OF_THE_API)], &[]);
const VERSION_OF_THE_API: Shape = Object(&[("id", Str), ("status", Str), ("updated", Str), ("links", LINKS)], &[]);

const LINKS: Shape =
    Shared("Links", &List(&Object(&[("href", Str), ("rel", Word(&["self", "bookmark", "next"]))], &[])));
const NEXT: Key = ("links", LINKS);
const NAMED: Shape = Object(&[("name", Str)], &[]);
const TEXT_OR_NULL: Shape = OrNull(&Str);
const MAP: Shape = Open(&[], &[]);

pub(super) const FLAVORS: Shape = Object(&[("flavors", List(&FLAVOR))], &[]);
pub(super) const ONE_FLAVOR: Shape = Object(&[("flavor", FLAVOR)], &[]);
const FLAVOR: Shape = Shared(
    "Flavor",
    &Object(
        &[
            ("id", OrNull(&Int)),
            ("str_id", Str),
            ("links", LINKS),
            ("name", Str),
            ("ram", Int),
            ("vcpus", Int),
            ("disk", Int),
            ("ephemeral", Int),
        ],
        &[],
    ),
);

pub(super) const DATASTORES: Shape = Object(&[("datastores", List(&DATASTORE))], &[]);
pub(super) const ONE_DATASTORE: Shape = Object(&[("datastore", DATASTORE)], &[]);
const DATASTORE: Shape = Shared(
    "Datastore",
    &Object(
        &[("id", Uuid), ("name", Str), ("links", LINKS), ("versions", List(&VERSION))],
        &[("default_version", Uuid)],
    ),
);

pub(super) const DATASTORE_VERSIONS: Shape = Object(&[("versions", List(&VERSION))], &[]);
pub(super) const ONE_DATASTORE_VERSION: Shape = Object(&[("version", VERSION)], &[]);
const VERSION: Shape = Shared(
    "DatastoreVersion",
    &Object(
        &[("id", Uuid), ("name", Str), ("version", Str), ("links", LINKS)],
        &[
            ("datastore", Uuid),
            // For admins.
            ("active", Int),
            ("packages", Str),
            ("image", TEXT_OR_NULL),
            ("registry_ext", TEXT_OR_NULL),
            ("repl_strategy", TEXT_OR_NULL),
            ("image_tags", List(&Str)),
        ],
    ),
);
pub(super) const VOLUME_TYPES: Shape = Object(
    &[(
        "volume_types",
        List(&Object(&[("id", Str), ("name", Str), ("is_public", Boolean), ("description", TEXT_OR_NULL)], &[])),
    )],
    &[],
);
pub(super) const PARAMETERS: Shape = Object(&[("configuration-parameters", List(&PARAMETER))], &[]);
pub(super) const PARAMETER: Shape = Shared(
    "Parameter",
    &Object(
        &[
            ("name", Str),
            ("datastore_version_id", Uuid),
            ("restart_required", Boolean),
            ("type", Word(&["integer", "string", "boolean", "float"])),
        ],
        &[("max", Number), ("min", Number)],
    ),
);

pub(super) const INSTANCES: Shape = Object(&[("instances", List(&INSTANCE))], &[NEXT]);
pub(super) const ONE_INSTANCE: Shape = Object(&[("instance", INSTANCE)], &[]);
const INSTANCE: Shape = Shared(
    "Instance",
    &Object(
        &[
            ("id", Uuid),
            ("name", Str),
            ("status", Word(&["BUILD", "ACTIVE", "REBOOT", "RESIZE", "SHUTDOWN", "ERROR", "RESTART_REQUIRED"])),
            ("operating_status", Str),
            ("access", Object(&[], &[("is_public", Boolean), ("allowed_cidrs", List(&Str))])),
            ("region", Str),
            ("datastore", Object(&[("type", Str), ("version", Str)], &[("version_number", Str)])),
            ("volume", Object(&[("size", Int)], &[("used", Number), ("used_percent", Number)])),
            ("flavor", Object(&[("id", Str), ("links", LINKS)], &[])),
            ("links", LINKS),
        ],
        &[
            ("ip", List(&Str)),
            ("addresses", List(&Object(&[("address", Str), ("type", Str)], &[("network", Str)]))),
            // In detail.
            ("created", Str),
            ("updated", Str),
            ("service_status_updated", Str),
            ("fault", Object(&[("message", Str), ("created", Str), ("details", Str)], &[])),
            ("configuration", Object(&[("id", Uuid), ("name", Str), ("links", LINKS)], &[])),
            // For admins.
            ("tenant_id", Str),
            ("server_id", TEXT_OR_NULL),
            ("volume_id", TEXT_OR_NULL),
            ("encrypted_rpc_messaging", Boolean),
            // Below `/mgmt`.
            (
                "server",
                OrNull(&Object(
                    &[("id", Str), ("name", Str), ("status", TEXT_OR_NULL), ("tenant_id", Str), ("host", TEXT_OR_NULL)],
                    &[],
                )),
            ),
            ("service_status", Str),
            ("deleted", Boolean),
            ("deleted_at", TEXT_OR_NULL),
            ("task_description", Str),
            ("root_enabled", Str),
            ("root_enabled_by", Str),
            ("guest_status", Object(&[("state_description", Str)], &[])),
        ],
    ),
);
pub(super) const JOURNAL: Shape = Object(
    &[
        ("journal", List(&Open(&[("number", Int), ("created", Str), ("text", Str), ("entry", Str)], &[]))),
        ("dropped", Int),
    ],
    &[NEXT],
);
pub(super) const DEFAULTS: Shape = Object(&[("instance", Object(&[("configuration", MAP)], &[]))], &[]);

pub(super) const DATABASES: Shape = Object(&[("databases", List(&NAMED))], &[NEXT]);
pub(super) const USERS: Shape = Object(&[("users", List(&USER))], &[NEXT]);
pub(super) const ONE_USER: Shape = Object(&[("user", USER)], &[]);
const USER: Shape = Shared("User", &Object(&[("name", Str), ("host", Str), ("databases", List(&NAMED))], &[]));
pub(super) const ROOT: Shape = Object(&[("rootEnabled", Boolean)], &[]);
pub(super) const ROOT_USER: Shape = Object(&[("user", Object(&[("name", Str), ("password", Str)], &[]))], &[]);

pub(super) const GROUPS: Shape = Object(&[("configurations", List(&GROUP))], &[NEXT]);
pub(super) const ONE_GROUP: Shape = Object(&[("configuration", GROUP)], &[]);
const GROUP: Shape = Shared(
    "ConfigurationGroup",
    &Object(
        &[
            ("id", Uuid),
            ("name", Str),
            ("description", TEXT_OR_NULL),
            ("created", Str),
            ("updated", Str),
            ("datastore_version_id", Uuid),
            ("datastore_name", Str),
            ("datastore_version_name", Str),
        ],
        // Of one alone.
        &[("values", MAP), ("instance_count", Int), ("datastore_version_number", Str)],
    ),
);
pub(super) const MEMBERS: Shape = Object(&[("instances", List(&Object(&[("id", Uuid), ("name", Str)], &[])))], &[NEXT]);

pub(super) const LIMITS: Shape = Object(&[("limits", List(&AnyOf(&[ABSOLUTE_LIMITS, RATE_LIMIT])))], &[]);
const ABSOLUTE_LIMITS: Shape = Object(
    &[
        ("verb", Word(&["ABSOLUTE"])),
        ("max_instances", Int),
        ("max_volumes", Int),
        ("max_ram", Int),
        ("max_backups", Int),
    ],
    &[],
);
const RATE_LIMIT: Shape = Object(
    &[
        ("verb", Str),
        ("nextAvailable", Str),
        ("remaining", Int),
        ("unit", Str),
        ("value", Int),
        ("uri", Str),
        ("regex", Str),
    ],
    &[],
);
pub(super) const QUOTAS: Shape = Object(
    &[("quotas", List(&Object(&[("resource", Str), ("in_use", Int), ("reserved", Int), ("limit", Int)], &[])))],
    &[],
);

pub(super) const QUOTA_CHANGES: Shape =
    Object(&[("quotas", Object(&[], &[("instances", Int), ("volumes", Int), ("ram", Int), ("backups", Int)]))], &[]);
pub(super) const DIAGNOSTICS: Shape = Object(
    &[(
        "diagnostics",
        Object(
            &[
                ("version", Str),
                ("threads", Int),
                ("fdSize", Int),
                ("vmSize", Int),
                ("vmPeak", Int),
                ("vmRss", Int),
                ("vmHwm", Int),
            ],
            &[],
        ),
    )],
    &[],
);
pub(super) const HARDWARE: Shape = Object(&[("hwinfo", Object(&[("mem_total", Int), ("num_cpus", Int)], &[]))], &[]);

pub(super) const ROOT_HISTORY: Shape =
    Object(&[("root_history", Object(&[("id", Uuid), ("enabled", Str), ("user", Str)], &[]))], &[]);
pub(super) const CATALOGUE_VERSIONS: Shape = Object(&[("versions", List(&CATALOGUE_VERSION))], &[]);
pub(super) const ONE_CATALOGUE_VERSION: Shape = Object(&[("version", CATALOGUE_VERSION)], &[]);
const CATALOGUE_VERSION: Shape = Shared(
    "CatalogueVersion",
    &Object(
        &[
            ("id", Uuid),
            ("name", Str),
            ("version", Str),
            ("datastore_id", Uuid),
            ("datastore_name", Str),
            ("datastore_manager", Str),
            ("image", TEXT_OR_NULL),
            ("image_tags", List(&Str)),
            ("packages", List(&Str)),
            ("active", Boolean),
            ("registry_ext", TEXT_OR_NULL),
            ("repl_strategy", TEXT_OR_NULL),
            ("default", Boolean),
        ],
        &[],
    ),
);

pub(super) const KEYSTONE: Shape = Object(
    &[(
        "version",
        Object(
            &[
                ("id", Str),
                ("status", Str),
                ("updated", Str),
                ("links", LINKS),
                ("media-types", List(&Object(&[("base", Str), ("type", Str)], &[]))),
            ],
            &[],
        ),
    )],
    &[],
);
const SCOPED: Shape = Object(&[("id", Str), ("name", Str), ("domain", ID_AND_NAME)], &[]);
const ID_AND_NAME: Shape = Object(&[("id", Str), ("name", Str)], &[]);
pub(super) const TOKEN: Shape = Object(
    &[(
        "token",
        Object(
            &[
                ("methods", List(&Str)),
                ("user", SCOPED),
                ("project", SCOPED),
                ("roles", List(&ID_AND_NAME)),
                ("issued_at", Str),
                ("expires_at", Str),
                ("audit_ids", List(&Str)),
                ("is_domain", Boolean),
                (
                    "catalog",
                    List(&Object(&[("id", Str), ("type", Str), ("name", Str), ("endpoints", List(&ENDPOINT))], &[])),
                ),
            ],
            &[],
        ),
    )],
    &[],
);
const ENDPOINT: Shape =
    Object(&[("id", Str), ("interface", Str), ("region", Str), ("region_id", Str), ("url", Str)], &[]);

/// Trove's own refusals: one member, named after the status.
pub(super) const FAULT: Shape = Object(&[("code", Int), ("message", Str)], &[("details", Str), ("retryAfter", Str)]);
/// What is answered before Trove's code is reached.
pub(super) const WEBOB: Shape = Object(&[("message", Str), ("code", Str), ("title", Str)], &[]);
/// What concerns tokens.
pub(super) const KEYSTONES_FAULT: Shape =
    Object(&[("error", Object(&[("code", Int), ("title", Str), ("message", Str)], &[]))], &[]);
