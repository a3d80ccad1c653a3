//! Reference point RPO (3GPP Zn): key requests and notices between application and Authentication Server
