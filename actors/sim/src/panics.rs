//! A panic of the control plane ends a task, and might go unnoticed: it is a violation like any other.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has panics of every thread noted from now on, besides being printed.
pub fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            LAST.with_borrow_mut(|last| *last = Some(panic.to_string()));
            print(panic);
        }));
    });
}

/// The last panic of this thread that was not asked for before.
pub fn take() -> Option<String> {
    LAST.with_borrow_mut(Option::take)
}
