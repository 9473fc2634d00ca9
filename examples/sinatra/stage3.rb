# Stage 3: after 10 seconds without a visit, the count starts from 1 again.

require 'sinatra'
require_relative 'common'

REDIS = connect

# region visits
def count_visit(name)
  key = "sessiontut:user:#{name}"
  visits, = REDIS.with do |redis|
    redis.multi do |transaction| # MULTI … EXEC
      transaction.hincrby(key, 'visits', 1)
      transaction.expire(key, 10)
    end
  end
  visits
end
# endregion visits

get '/' do
  name = signed_name(request.cookies['session'])
  return page('You are not logged in') unless name

  visits = count_visit(name)
  page("Logged in as #{escape_html(name)}<br>Visits: #{visits}")
end

get '/login' do
  FORM
end

post '/login' do
  name = posted_name
  response.set_cookie('session', COOKIE.merge(value: sign(name)))
  redirect '/', 303
end

get '/logout' do
  response.delete_cookie('session', COOKIE)
  redirect '/', 303
end
