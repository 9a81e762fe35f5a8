//! Values that a configuration group gives the engine besides its defaults.
//!
//! What the engine can take while it runs is set, read back, and only then written down: into a file of the agent's, from
//! which the engine's option file follows at each start. A variable that the option file has no name for is set by a
//! statement at each start. When anything is refused, what was set is put back and nothing is written.

mod keeper;
mod same;

use std::{collections::BTreeMap, io, process::Command, time::Duration};

use coffer_protocol::report::Failure;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub(super) use self::keeper::Keeper;
use self::same::is_same;
use super::{Mysql, admin::Variable, config, server, sql};
use crate::{
    failure,
    host::{files, process},
    supervisor::settings::Settings,
};

/// How long the engine may take to read an option file and say what it makes of it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a value at most; a list of all flags of the optimizer has some 1,500.
const MAX_VALUE: usize = 4096;
/// Of what the service itself gives the engine, and could be set while it runs.
const RESERVED: &[&str] = &["init_connect", "local_infile", "log_bin", "plugin_dir", "secure_file_priv"];

/// Values by the names of variables.
pub(super) type Entries = BTreeMap<String, Entry>;

/// A value, and how the engine gets it at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) text: String,
    /// It stands in the option file; otherwise a statement sets it.
    pub(super) is_option: bool,
}

impl Entry {
    /// Its line in the option file.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        self.is_option.then(|| format!("{name} = '{}'\n", self.text))
    }

    /// The statement that sets it at the engine's start.
    pub(super) fn statement(&self, name: &str) -> Option<String> {
        (!self.is_option).then(|| set(name, &literal(&self.text)))
    }
}

/// Checks what can be checked without an engine: nothing of it means anything but a name or a value, in an option file or in
/// a statement.
pub(super) fn validate(values: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, text) in values {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(failure::invalid(format!("{name:?} is not the name of a parameter")));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(failure::invalid(format!("the parameter {name} is not for groups")));
        }
        let is_plain = |letter: char| (letter == ' ' || letter.is_ascii_graphic()) && !"'\"\\#".contains(letter);
        if text.len() > MAX_VALUE || !text.chars().all(is_plain) {
            return Err(failure::invalid(format!("the value of the parameter {name} has letters that it cannot have")));
        }
    }
    Ok(())
}

/// Has the running engine go on with these values, and no others.
pub(super) async fn apply(
    mysql: &Mysql,
    settings: &Settings,
    number: u64,
    values: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let keeper = &mysql.configuration;
    if number < keeper.number() {
        tracing::warn!(number, "a later configuration was applied already");
        return Ok(());
    }
    let known: BTreeMap<String, Variable> = {
        let names = values.keys().cloned().chain(keeper.names()).collect();
        let found = mysql.admin.variables(&names).await?;
        found.into_iter().map(|variable| (variable.name.clone(), variable)).collect()
    };
    let mut entries = Entries::new();
    for (name, text) in values {
        let Some(variable) = known.get(name) else {
            return Err(failure::invalid(format!("the engine has no parameter {name}")));
        };
        entries.insert(name.clone(), Entry { text: text.clone(), is_option: variable.is_option });
    }
    check(mysql, settings, &entries).await?;

    // What the engine is to have, of all that a group says or has said since its start.
    let wanted = |variable: &Variable| {
        let text = values.get(&variable.name).cloned().or_else(|| config::default_of(settings, &variable.name));
        text.unwrap_or_else(|| variable.default.clone())
    };
    let (fixed, dynamic): (Vec<&Variable>, Vec<&Variable>) = known.values().partition(|variable| variable.is_read_only);
    let restart_required = fixed.iter().any(|variable| !is_same(variable, &wanted(variable), &variable.value));
    let set_values: Vec<(&Variable, Option<String>)> = dynamic
        .into_iter()
        .map(|variable| {
            // The engine knows its own default best: some follow from others.
            let given = values.get(&variable.name).cloned();
            (variable, given.or_else(|| config::default_of(settings, &variable.name)))
        })
        .filter(|(variable, text)| text.as_ref().is_none_or(|text| !is_same(variable, text, &variable.value)))
        .collect();
    if let Err(refused) = set_and_read_back(mysql, &set_values).await {
        put_back(mysql, &set_values).await;
        return Err(refused);
    }
    let kept =
        keeper.keep(number, entries, restart_required).and_then(|()| mysql.write_options(settings, &keeper.values()));
    if let Err(error) = kept {
        put_back(mysql, &set_values).await;
        return Err(unwritable(&error));
    }
    Ok(())
}

/// Sets these values for the whole engine, and looks whether it took them as they are.
async fn set_and_read_back(mysql: &Mysql, values: &[(&Variable, Option<String>)]) -> Result<(), Failure> {
    // Some bound others, such as a rate and the highest rate: set a second time, none is cut by what another one was.
    let mut to_set: Vec<_> = values.iter().collect();
    for is_last in [false, true] {
        for (variable, text) in &to_set {
            let value = text.as_ref().map_or_else(|| "DEFAULT".to_owned(), |text| literal(text));
            if let Err(refused) = mysql.admin.execute(vec![set(&variable.name, &value)]).await {
                let shown = text.as_deref().unwrap_or("its default");
                let message = format!("the engine refuses {} = {shown}: {}", variable.name, refused.message);
                return Err(if refused.retryable { refused } else { failure::invalid(message) });
            }
        }
        let names = to_set.iter().map(|(variable, _)| variable.name.clone()).collect();
        let now: BTreeMap<String, String> =
            mysql.admin.variables(&names).await?.into_iter().map(|variable| (variable.name, variable.value)).collect();
        to_set.retain(|(variable, text)| {
            let value = now.get(&variable.name).map_or("", String::as_str);
            text.as_ref().is_some_and(|text| !is_same(variable, text, value))
        });
        if let Some((variable, Some(text))) = to_set.first()
            && is_last
        {
            let (name, value) = (&variable.name, now.get(&variable.name).map_or("", String::as_str));
            return Err(failure::invalid(format!("the engine takes {name} = {text} for {value}")));
        }
    }
    Ok(())
}

/// Gives the engine the values that it had.
async fn put_back(mysql: &Mysql, values: &[(&Variable, Option<String>)]) {
    for (variable, _) in values {
        if let Err(failed) = mysql.admin.execute(vec![set(&variable.name, &literal(&variable.value))]).await {
            tracing::error!(name = variable.name, reason = failed.message, "a value cannot be put back");
        }
    }
}

/// Has the engine's program read the option file that these values make, without an engine.
async fn check(mysql: &Mysql, settings: &Settings, entries: &Entries) -> Result<(), Failure> {
    let path = mysql.layout.config.with_extension("check");
    let options = config::render(settings, &mysql.listen_address, entries);
    files::write_durably(&path, options.as_bytes()).map_err(|error| unwritable(&error))?;
    let checked = timeout(CHECK_TIMEOUT, reader(mysql, &path).output()).await;
    // Left behind it does no harm, and is written anew by the next check.
    let _ = std::fs::remove_file(&path);
    let output = checked
        .map_err(|_| failure::agent_failed("the engine's program does not say what it makes of an option file"))?
        .map_err(|error| failure::agent_failed(format!("cannot run {}: {error}", server::PROGRAM)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let reason = said.lines().rev().find_map(|line| line.split_once("mariadbd: ")).map_or("", |(_, reason)| reason);
    Err(failure::invalid(format!("the engine would not start with these values: {reason}")))
}

fn reader(mysql: &Mysql, options: &std::path::Path) -> tokio::process::Command {
    let mut command: Command = process::command(server::PROGRAM);
    command.arg(server::option("defaults-file", options)).args(["--help", "--verbose"]).current_dir(&mysql.layout.home);
    let mut command = tokio::process::Command::from(command);
    command.stdout(std::process::Stdio::null()).kill_on_drop(true);
    command
}

fn set(name: &str, value: &str) -> String {
    format!("SET GLOBAL {name} = {value}")
}

/// A number as it is, anything else as a string.
fn literal(text: &str) -> String {
    let is_number = text.bytes().next().is_some_and(|first| first.is_ascii_digit() || first == b'-')
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'e' | b'E' | b'+'))
        && text.parse::<f64>().is_ok();
    if is_number { text.to_owned() } else { sql::string(text) }
}

fn unwritable(error: &io::Error) -> Failure {
    if files::is_full(error) {
        return failure::volume_full("the data volume is full: the configuration cannot be kept");
    }
    failure::agent_failed(format!("the configuration cannot be kept: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_names_and_values_gets_through() {
        let validate = |name: &str, text: &str| validate(&BTreeMap::from([(name.to_owned(), text.to_owned())]));
        for (name, text) in
            [("max_connections", "200"), ("sql_mode", ""), ("optimizer_switch", "a=on,b=off"), ("time_zone", "+02:00")]
        {
            validate(name, text).unwrap();
        }
        for (name, text) in [
            ("", "x"),
            ("a b", "x"),
            ("x\ny", "x"),
            ("Upper", "x"),
            ("x", "a\nplugin_load = evil"),
            ("x", "a'b"),
            ("x", "a\\b"),
            ("x", "a # b"),
            ("x", "ü"),
            ("local_infile", "ON"),
        ] {
            assert_eq!(validate(name, text).unwrap_err().code, "invalid", "{name:?} {text:?}");
        }
    }

    #[test]
    fn numbers_stand_alone_and_words_in_quotes() {
        for (text, expected) in [
            ("5", "5"),
            ("-1", "-1"),
            ("0.5", "0.5"),
            ("", "''"),
            ("ON", "'ON'"),
            ("+02:00", "'+02:00'"),
            ("5M", "'5M'"),
            ("1-2", "'1-2'"),
        ] {
            assert_eq!(literal(text), expected);
        }
    }
}
