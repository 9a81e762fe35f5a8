//! Looks after the room of the store, and tells each change once.

use std::{mem::discriminant, sync::Arc, time::Duration};

use coffer_ports::telemetry::Happening;

use crate::{
    metrics::Metrics,
    store::{Store, room::Standing},
    telemetry::StoreChanged,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches until `ended`.
pub async fn watch(store: Arc<Store>, metrics: Metrics, ended: impl Future<Output = ()>) {
    let watching = async {
        let mut told = Standing::Open;
        loop {
            let looking = store.clone();
            // A trial write waits for the disk.
            if tokio::task::spawn_blocking(move || looking.look_for_room()).await.is_err() {
                return;
            }
            let standing = store.room().standing();
            let free_bytes = store.room().free_bytes();
            metrics.store_free_bytes.set(i64::try_from(free_bytes).unwrap_or(i64::MAX));
            let refuses = |what: &str, refused: bool| {
                metrics.store_refuses.with_label_values(&[what]).set(i64::from(refused));
            };
            refuses("commands", standing != Standing::Open);
            refuses("commits", matches!(standing, Standing::Stopped(_)));
            if discriminant(&standing) != discriminant(&told) {
                StoreChanged { standing: &standing, free_bytes }.emit(&metrics);
                told = standing;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = watching => {}
        () = ended => {}
    }
}
