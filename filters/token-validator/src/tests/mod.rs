mod admission;
mod bearer;
mod cache;
mod configuration;
mod fetched;
mod fixtures;
mod possession;
mod resources;
