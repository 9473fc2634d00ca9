//! Tests of the decision: captured networks, tables of rules, random networks, and hostile documents.

mod captured;
