//! The engine's option file: safe defaults, sized from the flavor and the volume, then what a configuration group says, then
//! what nobody may change. The last word counts.

use coffer_protocol::defaults;

use super::{PORT, configuration::Entries};
use crate::supervisor::settings::Settings;

/// The option file. Paths are given on the command line.
pub(super) fn render(settings: &Settings, listen_address: &str, values: &Entries) -> String {
    let mut file = "# Written by coffer-agent.\n[mariadbd]\n".to_owned();
    for (name, value) in defaults::mysql(settings.memory_mib, settings.volume_gib) {
        file += &format!("{name} = {value}\n");
    }
    for (name, entry) in values {
        file.extend(entry.option(name));
    }
    file += &format!(
        "bind_address = {listen_address}
port = {PORT}
skip_name_resolve
skip_symbolic_links
local_infile = OFF
skip_log_bin
"
    );
    file
}

/// What the engine has where no group says anything; `None` where that is its own default.
pub(super) fn default_of(settings: &Settings, name: &str) -> Option<String> {
    let name = match name {
        // The option has another name than the variable.
        "time_zone" => "default_time_zone",
        // The engine's own default is not what it starts with.
        "character_set_database" => "character_set_server",
        "collation_database" => "collation_server",
        name => name,
    };
    let defaults = defaults::mysql(settings.memory_mib, settings.volume_gib);
    defaults.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

pub(super) fn redo_log_mib(settings: &Settings) -> u64 {
    defaults::mysql_redo_log_mib(settings.memory_mib, settings.volume_gib)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::datastores::mysql::configuration::Entry;

    #[test]
    fn what_nobody_may_change_comes_last() {
        let settings =
            Settings { datastore_version: "10.11".into(), memory_mib: 512, vcpus: 1, volume_gib: 1, stopped: false };
        let entry = |text: &str, is_option| Entry { text: text.into(), is_option };
        let values = BTreeMap::from([
            ("bind_address".to_owned(), entry("0.0.0.0", true)),
            ("character_set_client".to_owned(), entry("latin1", false)),
            ("max_connections".to_owned(), entry("77", true)),
        ]);
        let file = render(&settings, "127.1.2.3", &values);
        let at = |text: &str| file.find(text).unwrap_or_else(|| panic!("no {text} in {file}"));
        assert!(at("max_connections = 128\n") < at("max_connections = '77'\n"));
        assert!(at("bind_address = '0.0.0.0'\n") < at("bind_address = 127.1.2.3\n"));
        assert!(!file.contains("character_set_client"), "the engine knows no option of this name");
        assert_eq!(default_of(&settings, "max_connections").as_deref(), Some("128"));
        assert_eq!(default_of(&settings, "time_zone").as_deref(), Some("+00:00"));
        assert_eq!(default_of(&settings, "sql_mode"), None);
    }
}
