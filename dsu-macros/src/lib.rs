//! Entry points of the macros; one file holds each expansion.
