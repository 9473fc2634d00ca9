// lessons: 5 limits

type SessionStore struct {
	pool *redis.Pool
}

// lessons: 5 create, 5 visit, 5 end

// lessons: 5 index, 5 login
