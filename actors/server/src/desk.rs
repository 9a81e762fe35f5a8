//! The service's own answers to local requests.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use coffer_local::LocalProvider;
use coffer_runtime::{
    runtime::Runtime,
    store::Store,
    vault::{Vault, random},
};
use serde_json::{Value, json};

use crate::{
    check,
    local_api::{Desk, Request, Status},
    orphan,
    state_dir::StateDir,
};

/// What a running service answers from.
pub struct ServiceDesk {
    pub state: StateDir,
    pub runtime: Runtime,
    pub store: Arc<Store>,
    pub vault: Arc<Vault>,
    pub provider: LocalProvider,
    pub ready: Arc<AtomicBool>,
    pub api: String,
}

#[async_trait]
impl Desk for ServiceDesk {
    async fn answer(&self, request: Request) -> Result<Value, String> {
        match request {
            Request::Status => Ok(json!(Status {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").into(),
                is_ready: self.ready.load(Ordering::Relaxed),
                api: self.api.clone(),
            })),
            Request::Partitions => {
                let partitions = self.runtime.partitions().await.map_err(|error| error.to_string())?;
                Ok(json!(partitions))
            }
            Request::Check => {
                let (store, vault, state) = (self.store.clone(), self.vault.clone(), self.state.clone());
                let findings =
                    blocking(move || check::all(&store, Some(&vault), &state.local(), &state.words())).await?;
                Ok(json!(findings))
            }
            Request::Checkpoint => {
                let (store, state) = (self.store.clone(), self.state.clone());
                let path = blocking(move || checkpoint(&store, &state)).await?;
                Ok(json!(path))
            }
            Request::RemoveOrphan { instance, remove } => {
                let (store, state, name) = (self.store.clone(), self.state.clone(), instance.clone());
                let orphan = blocking(move || orphan::find(&store, &state, &name)).await?;
                if remove {
                    orphan::remove(&self.provider, &self.state, &orphan).await?;
                    tracing::warn!(instance, "an orphan was removed by hand");
                }
                Ok(json!(orphan.words()))
            }
        }
    }
}

/// Puts a copy of the store below the state directory and returns its path.
pub fn checkpoint(store: &Store, state: &StateDir) -> Result<std::path::PathBuf, String> {
    let name: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = state.checkpoints().join(name);
    std::fs::create_dir_all(state.checkpoints()).map_err(|error| error.to_string())?;
    store.checkpoint(&path).map_err(|error| error.to_string())?;
    Ok(path)
}

async fn blocking<T: Send + 'static, E: ToString + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}
