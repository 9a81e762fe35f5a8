//! OpenStack's services behind the ports.
//!
//! * [`keystone`] – `Identity`.

pub mod keystone;
