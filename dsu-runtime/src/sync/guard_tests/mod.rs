//! Typed guards, by two versions that share their slots in one process: access, flips, deaths.

mod access;
mod circles;
mod crashes;
mod death;
mod fills;
mod flips;
mod graph;
mod graph_guards;
mod graph_model;
mod graph_rules;
mod moved;
mod moved_families;
mod moved_nodes;
mod moved_twins;
mod object_conversions;
mod object_deaths;
mod object_model;
mod objects;
mod order;
mod parked;
mod parked_deaths;
mod parts;
mod rooms;
mod split;
mod sweeps;
mod world;
