//! RADIUS packets, dictionary, authenticators and exchange machines, without sockets
