//! The core, driven without actors: elections as text, random lives of a page against a slow model, purity.

mod claims;
mod elections;
mod purity;
mod random;
mod reference;
mod world;
