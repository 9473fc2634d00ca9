# lessons: 5 limits

class SessionStore
  def initialize(pool)
    @pool = pool
  end

  # lessons: 5 create, 5 visit, 5 end
end

# lessons: 5 index, 5 login
