//! The happenings whose lines were logged by this process, whichever test caused them.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

static LOGGED: OnceLock<Mutex<BTreeSet<String>>> = OnceLock::new();

fn logged() -> &'static Mutex<BTreeSet<String>> {
    LOGGED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Collect.with_filter(LevelFilter::DEBUG));
        tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
        Mutex::default()
    })
}

/// Listens from now on.
pub fn listen() {
    logged();
}

/// Whether a line of this happening was logged.
pub fn was_logged(happening: &str) -> bool {
    logged().lock().unwrap().contains(happening)
}

struct Collect;

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Names);
    }
}

struct Names;

impl Visit for Names {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "happening"
            && let Some(logged) = LOGGED.get()
        {
            logged.lock().unwrap().insert(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
