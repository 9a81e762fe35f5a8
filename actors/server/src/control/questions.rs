//! Questions to agents, between the words of the REST shim and those of the wire.

use std::time::Duration;

use coffer_domain::ids::{InstanceId, TenantId};
use coffer_protocol::question as wire;
use coffer_rest::control::{EngineProcess, Question, Told, Unanswered};
use coffer_runtime::{link, runtime::Runtime};

pub async fn ask(
    runtime: &Runtime,
    tenant: &TenantId,
    instance: InstanceId,
    question: Question,
    limit: Duration,
) -> Result<Told, Unanswered> {
    let question = match question {
        Question::Ping => wire::Question::Ping,
        Question::Diagnostics => wire::Question::Diagnostics,
        Question::Hardware => wire::Question::Hardware,
    };
    let answer = runtime.ask(tenant, instance, question, limit).await.map_err(|reason| match reason {
        link::Unanswered::NotHeard => Unanswered::NotHeard,
        link::Unanswered::Unknown => Unanswered::Unknown,
        link::Unanswered::Crowded => Unanswered::Crowded,
        link::Unanswered::Late => Unanswered::Late,
    })?;
    Ok(match answer {
        wire::Answer::Here => Told::Here,
        wire::Answer::Diagnostics(wire::Diagnostics { agent_version, engine }) => {
            Told::Diagnostics { agent_version, engine: engine.map(process) }
        }
        wire::Answer::Hardware(wire::Hardware { memory_kib, cpus }) => Told::Hardware { memory_kib, cpus },
    })
}

fn process(engine: wire::EngineProcess) -> EngineProcess {
    let wire::EngineProcess { threads, fd_size, vm_size_kib, vm_peak_kib, vm_rss_kib, vm_hwm_kib } = engine;
    EngineProcess { threads, fd_size, vm_size_kib, vm_peak_kib, vm_rss_kib, vm_hwm_kib }
}
