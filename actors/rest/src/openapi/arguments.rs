//! What a handler's arguments tell of its route: a route that takes a page or a body says so by its type.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};

use crate::{
    body::{Body, Schema},
    caller::Caller,
    paging::Page,
    shape::Shape,
};

/// What a route takes besides the names in its path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Takes {
    pub body: Option<TakenBody>,
    /// `limit` and `marker`.
    pub is_paged: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct TakenBody {
    pub shape: &'static Shape,
    pub is_optional: bool,
}

/// An argument of a handler.
pub(crate) trait Argument {
    fn tell(_: &mut Takes) {}
}

impl<T: ?Sized> Argument for Data<T> {}
impl<T> Argument for Path<T> {}
impl Argument for Caller {}
impl Argument for HttpRequest {}

impl Argument for Page {
    fn tell(takes: &mut Takes) {
        takes.is_paged = true;
    }
}

impl<S: Schema> Argument for Body<S> {
    fn tell(takes: &mut Takes) {
        takes.body = Some(TakenBody { shape: S::SHAPE, is_optional: S::IS_OPTIONAL });
    }
}

/// All arguments of a handler.
pub(crate) trait Arguments {
    fn takes() -> Takes;
}

macro_rules! arguments {
    ($($name:ident)*) => {
        impl<$($name: Argument),*> Arguments for ($($name,)*) {
            #[allow(unused_mut, reason = "a handler may have no arguments")]
            fn takes() -> Takes {
                let mut takes = Takes::default();
                $($name::tell(&mut takes);)*
                takes
            }
        }
    };
}

arguments! {}
arguments! { A }
arguments! { A B }
arguments! { A B C }
arguments! { A B C D }
arguments! { A B C D E }
