//! Who may do what: rules as data, in oslo.policy's syntax and with Trove's names and defaults.
//!
//! * [`defaults`] – the rules of Trove;
//! * [`file`] – those of the operator, which replace them one by one;
//! * [`expression`] – what a rule says;
//! * [`routes`] – which route asks which rule.
//!
//! Whatever may be wrong with a rule is found when it is read: asking one cannot fail.

mod defaults;
mod expression;
mod file;
pub(crate) mod routes;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use coffer_ports::identity::Principal;

use crate::{
    caller::Caller,
    error::{Error, Result},
};

use defaults::DEFAULTS;
use expression::Expression;

/// Who counts as an admin: what Trove keeps for admins and has no rule for asks this one.
const ADMINS: &str = "context_is_admin";

/// Longest row of rules that each refer to the next.
const MAX_CHAIN: usize = 32;

/// All rules.
#[derive(Debug)]
pub(crate) struct Policy(HashMap<String, Expression>);

/// Who asks, for what.
pub(crate) struct Asker<'a> {
    pub principal: &'a Principal,
    pub is_admin: bool,
    /// The tenant of the thing that is asked for.
    pub tenant: &'a str,
}

impl Policy {
    /// Trove's rules, and in place of some of them those of a file.
    ///
    /// # Errors
    /// A sentence for the operator that names the file, the line and the rule.
    pub fn open(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else { return Self::with("") };
        let content = fs::read_to_string(file).map_err(|error| error.to_string());
        content.and_then(|content| Self::with(&content)).map_err(|error| format!("{}: {error}", file.display()))
    }

    fn with(content: &str) -> Result<Self, String> {
        let lines = file::read(content).map_err(|(number, words)| format!("line {number}: {words}"))?;
        let mut rules = HashMap::new();
        for (name, text) in DEFAULTS {
            let expression = Expression::parse(text).map_err(|words| format!("rule \"{name}\": {words}"))?;
            rules.insert((*name).to_owned(), expression);
        }
        let mut places = HashMap::new();
        for line in &lines {
            let fails = |words: String| format!("line {}, rule \"{}\": {words}", line.number, line.name);
            let expression = Expression::parse(&line.text).map_err(fails)?;
            if let Some(first) = places.insert(line.name.as_str(), line.number) {
                return Err(fails(format!("it stands on line {first} already")));
            }
            rules.insert(line.name.clone(), expression);
        }
        let policy = Self(rules);
        for line in &lines {
            policy
                .check_rule(&line.name)
                .map_err(|words| format!("line {}, rule \"{}\": {words}", line.number, line.name))?;
        }
        Ok(policy)
    }

    /// A rule refers to rules that are there, and not to itself; and somebody asks for it.
    fn check_rule(&self, name: &str) -> Result<(), String> {
        let is_asked = DEFAULTS.iter().any(|(known, _)| *known == name);
        if !is_asked && !self.0.values().any(|expression| expression.rules().contains(&name)) {
            return Err("it is no rule of Trove's, and no other rule refers to it".into());
        }
        self.check_references(name, &mut HashSet::new(), &mut Vec::new())
    }

    fn check_references<'a>(
        &'a self,
        name: &'a str,
        sound: &mut HashSet<&'a str>,
        path: &mut Vec<&'a str>,
    ) -> Result<(), String> {
        if path.contains(&name) {
            return Err(format!("it comes back to itself through \"{name}\""));
        }
        if sound.contains(name) {
            return Ok(());
        }
        if path.len() >= MAX_CHAIN {
            return Err(format!("more than {MAX_CHAIN} rules refer to each other in a row"));
        }
        let expression = self.0.get(name).ok_or_else(|| format!("there is no rule \"{name}\""))?;
        path.push(name);
        for referred in expression.rules() {
            self.check_references(referred, sound, path)?;
        }
        path.pop();
        sound.insert(name);
        Ok(())
    }

    /// Whether the rule holds; no rule of this name never does.
    fn holds(&self, rule: &str, asker: &Asker<'_>) -> bool {
        self.0.get(rule).is_some_and(|expression| expression.holds(asker, &|rule| self.holds(rule, asker)))
    }

    /// Whether somebody is an admin.
    pub fn is_admin(&self, principal: &Principal) -> bool {
        self.holds(ADMINS, &Asker { principal, is_admin: false, tenant: &principal.project_id })
    }

    /// Errors: 403 in Trove's words. What a caller can name is its own tenant's, so that is the target.
    pub fn check(&self, caller: &Caller, rule: &str) -> Result<()> {
        let asker =
            Asker { principal: &caller.principal, is_admin: caller.is_admin, tenant: caller.tenant().0.as_str() };
        if self.holds(rule, &asker) {
            return Ok(());
        }
        Err(Error::forbidden(format!("Policy doesn't allow {rule} to be performed.")))
    }
}
