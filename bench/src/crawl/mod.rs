//! HTTP clients, and the site that they fetch.
//!
//! - `pages`: the pages of the site, and what is to be found in them.
//! - `site`: nginx and a slow server, in a process of their own.
//! - `plan`: which pages are fetched, how many at a time, and what that costs.
//! - `clients`: the clients, each written as its users would write it.

mod pages;
pub(crate) mod site;
mod plan;
mod clients;

pub(crate) use clients::{CLIENTS, run};
pub(crate) use pages::Folder;
pub(crate) use plan::{Plan, Work};
pub(crate) use site::{is_nginx_installed, site};
