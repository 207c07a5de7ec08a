//! The command line, as its users meet it: the real program in a folder of its own.

#[cfg(test)]
mod machine;

mod doctor;
mod keys;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod secrets;
mod serve;
mod settings;
#[cfg(test)]
mod users;
