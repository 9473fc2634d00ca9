// lessons: 5 limits

class SessionStore {
  constructor(redis) {
    this.redis = redis;
  }

  // lessons: 5 create, 5 visit, 5 end
}

// lessons: 5 index, 5 login

serve(app);
