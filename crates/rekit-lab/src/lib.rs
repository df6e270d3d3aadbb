//! Disposable real engines and daemons, planted defects.
