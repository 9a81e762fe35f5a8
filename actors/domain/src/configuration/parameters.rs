//! The parameters of each version, as its engine tells them: files that `ops/parameters/generate` writes. What tenants
//! must not set is not in them; `ops/parameters/excluded.toml` says why.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Number;

/// A parameter that groups may set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Parameter {
    pub name: String,
    /// Another value counts only once the engine was started anew.
    pub restart_required: bool,
    #[serde(flatten)]
    pub kind: Kind,
}

/// What the values of a parameter may be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    Integer {
        min: Number,
        max: Number,
    },
    Float {
        min: f64,
        max: f64,
    },
    Boolean,
    /// One of these, in any case of letters.
    Word {
        words: Vec<String>,
    },
    /// Some of these, with commas between them; or none.
    Words {
        words: Vec<String>,
    },
    /// `word=on`, `word=off` or `word=default`, with commas between them.
    Flags {
        words: Vec<String>,
    },
    Text,
}

/// All parameters of a version, by name.
#[derive(Debug)]
pub struct Parameters {
    manager: &'static str,
    series: &'static str,
    all: Vec<Parameter>,
}

static KNOWN: LazyLock<Vec<Parameters>> = LazyLock::new(|| {
    let read = |manager, series, text| Parameters {
        manager,
        series,
        all: serde_json::from_str(text).expect("a file of this crate, which a test reads"),
    };
    vec![read("mysql", "10.11", include_str!("mariadb-10.11.json"))]
});

/// The parameters of a version; `None` when it is one that groups cannot be made for. `number` is of the version's series.
pub fn of(manager: &str, number: &str) -> Option<&'static Parameters> {
    let is_of_series =
        |series: &str| number.strip_prefix(series).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    KNOWN.iter().find(|known| known.manager == manager && is_of_series(known.series))
}

impl Parameters {
    /// In the order of their names.
    pub fn all(&self) -> &[Parameter] {
        &self.all
    }

    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.all.iter().find(|parameter| parameter.name == name)
    }
}

impl Kind {
    /// Trove's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Float { .. } => "float",
            Self::Boolean => "boolean",
            Self::Word { .. } | Self::Words { .. } | Self::Flags { .. } | Self::Text => "string",
        }
    }

    /// The least and the greatest value, of numbers.
    pub fn range(&self) -> Option<(Number, Number)> {
        match self {
            Self::Integer { min, max } => Some((min.clone(), max.clone())),
            Self::Float { min, max } => Some((Number::from_f64(*min)?, Number::from_f64(*max)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_parameters_of_its_series() {
        for number in ["10.11", "10.11.19"] {
            let parameters = of("mysql", number).unwrap();
            assert!(!parameters.get("max_connections").unwrap().restart_required);
            assert!(parameters.get("ft_min_word_len").unwrap().restart_required);
        }
        assert!(
            of("mysql", "10.1").is_none() && of("mysql", "10.110").is_none() && of("postgresql", "10.11").is_none()
        );
    }

    #[test]
    fn nothing_that_opens_the_guest_is_offered() {
        let parameters = of("mysql", "10.11").unwrap();
        for name in [
            "bind_address",
            "port",
            "datadir",
            "tmpdir",
            "socket",
            "plugin_dir",
            "init_file",
            "init_connect",
            "secure_file_priv",
            "ssl_key",
            "general_log_file",
            "slow_query_log_file",
            "log_error",
            "local_infile",
            "skip_grant_tables",
            "server_id",
            "innodb_buffer_pool_size",
            "innodb_flush_log_at_trx_commit",
            "innodb_data_home_dir",
        ] {
            assert_eq!(parameters.get(name), None, "{name}");
        }
    }
}
