//! Commands of outside producers, from the topic `coffer.commands`.

use std::time::Duration;

use coffer_domain::{
    command::{Command, Envelope},
    ids::InstanceId,
    rejection::{Rejection, RejectionKind},
};
use coffer_ports::{
    telemetry::Happening,
    transport::{Delivery, Incoming, Start},
};
use coffer_protocol::topics;

use super::{Runtime, StartError};
use crate::{nodes::forward::Wire, partition::Accepted, telemetry::IntakeRefused, vault::Vault};

/// Bytes of a tenant's id, and of a producer's other words, at most.
const MAX_TENANT: usize = 64;
const MAX_WORDS: usize = 255;
/// How long the intake waits before it offers a command again that could not be taken.
const INTAKE_RETRY: Duration = Duration::from_secs(1);

impl Runtime {
    pub(super) async fn read_commands(&self, wire: &Wire) -> Result<(), StartError> {
        let mut deliveries = wire.transport.subscribe(&[topics::COMMANDS.to_owned()], Start::Earliest).await?;
        let (runtime, vault, metrics) = (self.clone(), wire.vault.clone(), wire.metrics.clone());
        tokio::spawn(async move {
            while let Some(delivery) = runtime.next(&mut deliveries).await {
                let Delivery::Record(record) = delivery else { continue };
                let refused = match read_command(&record, &vault) {
                    Ok(envelope) => runtime
                        .submit_until_decided(envelope)
                        .await
                        .err()
                        .map(|rejection| ("rejected", rejection.message)),
                    Err(error) => Some(("malformed", error)),
                };
                if let Some((reason, message)) = refused {
                    IntakeRefused { reason, message: &message, offset: record.offset }.emit(&metrics);
                }
            }
        });
        Ok(())
    }

    /// Submits until there is an answer that repeating would not change. Ends with a refusal when the partitions end.
    pub(crate) async fn submit_until_decided(&self, envelope: Envelope) -> Result<Accepted, Rejection> {
        loop {
            match self.submit(envelope.clone()).await {
                Err(Rejection { kind: RejectionKind::Busy | RejectionKind::NoRoom, .. })
                    if self.keepers.receiver_count() > 0 =>
                {
                    tokio::time::sleep(INTAKE_RETRY).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Reads an outside producer's command: the record's key must be its tenant, and a new instance gets its server key.
pub(crate) fn read_command(record: &Incoming, vault: &Vault) -> Result<Envelope, String> {
    let mut envelope: Envelope = serde_json::from_slice(&record.value).map_err(|error| error.to_string())?;
    if envelope.version != coffer_domain::command::ENVELOPE_VERSION {
        return Err(format!("version: {} is not known", envelope.version));
    }
    if record.key.as_deref() != Some(envelope.tenant.0.as_str()) {
        return Err("key: the record's key must be the tenant".into());
    }
    check_origin(&envelope)?;
    if envelope.command.is_of_tenant() {
        return Err("verb: what a tenant may have is set over the API only".into());
    }
    // Only the API's own requests have answers to keep.
    envelope.answer = None;
    let is_create = matches!(envelope.command, Command::Create(_) | Command::CreateConfiguration(_));
    if is_create && envelope.instance != InstanceId::of_outside_create(&envelope.tenant, envelope.command_id) {
        return Err("instance: for a create it must be the UUID version 5 of <tenant>/<command_id>".into());
    }
    if let Command::Create(order) = &mut envelope.command {
        order.server_key = Some(vault.new_server_key(envelope.instance, 1));
    }
    Ok(envelope)
}

/// A producer's words end up in keys, rows and logs.
fn check_origin(envelope: &Envelope) -> Result<(), String> {
    let tenant = &envelope.tenant.0;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if tenant.is_empty() || tenant.len() > MAX_TENANT || !tenant.chars().all(is_plain) {
        return Err(format!("tenant: 1 to {MAX_TENANT} ASCII letters, digits, '-', '_' and '.'"));
    }
    for (field, text) in [("principal", &envelope.principal), ("request_id", &envelope.request_id)] {
        if text.len() > MAX_WORDS || text.chars().any(char::is_control) {
            return Err(format!("{field}: at most {MAX_WORDS} bytes, none of them a control character"));
        }
    }
    Ok(())
}
