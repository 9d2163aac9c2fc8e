//! Resources that are declared once and answer in every format that a caller may ask for.
//!
//! A service says what a resource *is*: fields, links, embedded resources, actions. This crate
//! makes representations of it: HAL JSON for programs (draft-kelly-json-hal, with HAL-FORMS
//! `_templates` for the actions) and a page for people, on which every link can be followed and
//! every action carried out. It also has what belongs to representations: the choice among them
//! (RFC 9110, 12.5.1), their entity tags (8.8.3, 13.1.2), and problem details (RFC 9457).
//!
//! A format is added in [`render`] and in a module beside `hal` and `html`; services do not see it.
//!
//! What it refuses to do: know of routes, requests or services; put anything that changes with the
//! moment into a JSON representation, since its entity tag is strong; read numbers as floating
//! point; load anything from elsewhere on a page, or make a link clickable that could run code.

mod action;
mod conditional;
mod hal;
mod html;
mod negotiation;
mod problem;
mod render;
mod resource;
mod value;

pub use action::{Action, Field};
pub use conditional::not_modified;
pub use negotiation::{Format, negotiate};
pub use problem::Problem;
pub use render::{Page, Rendered, render, render_problem};
pub use resource::Resource;
