//! OBF Authentication Server
