//! OBF Client: secure elements, bootstrapping, connect(app)
